"""What holds for all tests: threads, signals, and where the real files are."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# As the command line has it, and before anything imports numpy: workers that thread on two cores trip over each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]

pytest_plugins = ["tests.project"]  # the scratch project, shared by the tests of steps, flows, faults and the browser


@pytest.fixture(scope="session")
def root() -> Path:
    """The project folder, which holds ``conf/``."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real files; the test is skipped, with the reason, where it is absent."""
    folder = Path(os.environ.get("DAYCAST_REAL_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set DAYCAST_REAL_DATA to the folder that holds the files")
    return folder


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Handlers of signals are this process's: a test that leaves another one behind would decide the next ones."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    after = {number: signal.getsignal(number) for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before
