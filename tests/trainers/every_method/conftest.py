"""Tests here are given every method of the table, or its cases, by the names of their arguments."""

from cases_of_methods import ARGUMENTS
from multimode_ot import method_names


def pytest_generate_tests(metafunc):
    for name in metafunc.fixturenames:
        if name in ARGUMENTS:
            values = [value for method in method_names() for value in ARGUMENTS[name](method)]
            metafunc.parametrize(name, values, ids=str)
