"""One real, embedded MLflow store for the session: a new one costs seconds of migrations."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from daycast.adapters import tracking
from daycast.settings import QUIET


@pytest.fixture(scope="session", autouse=True)
def quiet() -> Iterator[None]:
    """Telemetry, printed addresses and progress bars off, as the command line has them."""
    before = dict(os.environ)
    os.environ.update(QUIET)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> tracking.Tracking:
    """An embedded store at a path with a space."""
    folder = tmp_path_factory.mktemp("a store")
    where = tracking.Tracking(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    tracking.open_run(where, "first", "first", "first", {}, {})
    return where
