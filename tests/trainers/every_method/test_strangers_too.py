"""A method of a file passes the very same tests, and they find the faults that they are for."""

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cases_of_methods import ARGUMENTS
from faulty_methods import FAULTS
from multimode_ot import add_method_file, methods
from multimode_ot.methods import find_method

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/a-method-of-your-own.md"
NAME = "FeatureGains"
FOUND = (AssertionError, pytest.fail.Exception, ArithmeticError, RuntimeError, ValueError)


def of_one_method():
    """The functions of this folder that are given a method, by their names."""
    found = {}
    for file in sorted(HERE.glob("test_*.py")):
        if file != Path(__file__):
            found |= {k: f for k, f in runpy.run_path(str(file)).items() if k.startswith("test_")}
    return {name: test for name, test in found.items() if kind(test) in ARGUMENTS}


def kind(test):
    parameters = list(inspect.signature(test).parameters)
    return parameters[0] if len(parameters) == 1 else None


TESTS = of_one_method()


def call(test, method):
    """Call a test as it is called for every method of the table."""
    for value in ARGUMENTS[kind(test)](method):
        test(value)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The method that the documentation makes."""
    code = re.search(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    file = tmp_path_factory.mktemp("own") / "my_method.py"
    file.write_text(code[1], encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def of_a_file(file, monkeypatch):
    monkeypatch.setattr(methods, "_of_files", {})
    monkeypatch.setattr("multimode_ot.training.registration.register", lambda names: None)
    assert add_method_file(str(file)) == [NAME]


@pytest.mark.parametrize("name", TESTS)
def test_a_method_of_a_file_passes(name):
    call(TESTS[name], NAME)


def test_pytest_takes_a_method_file(file):
    words = [HERE / "test_declarations.py", "--method-file", file, "-k", NAME]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, words)],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^[5-9] passed, \d+ deselected", done.stdout, re.MULTILINE)


def test_there_are_tests_of_all_kinds_and_the_stranger_is_given_to_all_but_one():
    assert {kind(test) for test in TESTS.values()} == set(ARGUMENTS)
    empty = {kind for kind, values in ARGUMENTS.items() if not values(NAME)}
    assert empty == {"refused"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, monkeypatch):
    make, name = FAULTS[fault]
    faulty = make(find_method(NAME))
    faulty.name, faulty.__doc__ = fault, "A method with a fault in it."
    monkeypatch.setitem(methods._of_files, fault, faulty)
    with pytest.raises(FOUND):
        call(TESTS[name], fault)
