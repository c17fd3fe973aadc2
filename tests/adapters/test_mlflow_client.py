import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daycast.adapters import registry, tracking
from daycast.adapters.mlflow_client import begin
from daycast.adapters.tracking import Tracking
from daycast.errors import ToolError


@pytest.mark.parametrize("door", ["runs", "registry", "server"])
def test_an_embedded_database_is_there_whole_or_not_at_all_whenever_its_maker_is_killed(
    tmp_path: Path, door: str
) -> None:
    file = tmp_path / "mlflow.db"
    made = Tracking(f"sqlite:///{file}", tmp_path)
    doors: dict[str, tuple[Callable[..., object], tuple[Any, ...]]] = {
        "runs": (tracking.open_run, (made, "demo", "k", "a", {}, {})),
        "registry": (registry.by_alias, (made.uri, "daycast-demo", "champion")),
        "server": (tracking.server_command, (made, 5000)),
    }
    target, given = doors[door]
    maker = multiprocessing.get_context("spawn").Process(target=target, args=given)
    maker.start()
    until = time.monotonic() + 60
    while not file.is_file() and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(maker.pid or 0, signal.SIGKILL)
    maker.join()
    with sqlite3.connect(file) as there:
        assert there.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    there.close()
    assert registry.by_alias(made.uri, "daycast-demo", "champion") is None
    assert tracking.known(made, tracking.open_run(made, "demo", "k", "a", {}, {}))


def test_a_database_that_is_there_is_left_as_it_is_and_a_server_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"not a database")
    begin(f"sqlite:///{file}")
    begin("http://127.0.0.1:1")
    assert file.read_bytes() == b"not a database"
    with pytest.raises(ToolError, match="file is not a database"):
        registry.by_alias(f"sqlite:///{file}", "daycast-demo", "champion")
