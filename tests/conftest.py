"""Where the real files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
