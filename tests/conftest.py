"""Fixtures for tests that call train.py in this process, and an option to test other methods."""

import os
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: its threads wait by spinning
    os.environ.setdefault("OMP_NUM_THREADS", "1")
CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption(
        "--method-file",
        action="append",
        default=[],
        help="a file with a method to test with those of the package (tests/trainers/every_method)",
    )


def pytest_configure(config):
    for path in config.getoption("--method-file"):
        from multimode_ot import add_method_file

        add_method_file(path)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def run(data, tmp_path, capfd):
    """Call train.py on the digits with a method's demo config; returns what it printed."""
    import torch

    sys.path.insert(0, str(CHECKOUT))
    import train

    threads = torch.get_num_threads()

    def call(method: str, *options: object, folder: str = "run", root: object = data) -> str:
        arguments = ["--root", root, "--output-dir", tmp_path / folder, "--seed", 1]
        arguments += ["--trainer", method]
        arguments += ["--dataset-config-file", CHECKOUT / "configs/datasets/digits.yaml"]
        arguments += ["--config-file", CHECKOUT / f"configs/trainers/{method}/demo.yaml"]
        try:
            train.main([str(a) for a in (*arguments, *options)])
        finally:
            sys.stdout = getattr(sys.stdout, "console", sys.stdout)  # setup_logger replaced it
        return capfd.readouterr().out

    yield call
    torch.set_num_threads(threads)


@pytest.fixture
def refused(capfd):
    """The one `error:` line with which a call ends; its other output is read, too."""

    def line_of(call, *arguments: object, **named: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            call(*arguments, **named)
        said = capfd.readouterr().err
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        assert ended.value.code == 2
        assert len(lines) == 1 and "Traceback" not in said, said
        return lines[0]

    return line_of
