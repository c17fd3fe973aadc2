"""The same flows, unchanged, against a real Prefect server on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.project import Project

pytestmark = pytest.mark.xdist_group("flows")


@pytest.fixture
def server(project: Project, tmp_path: Path) -> Iterator[str]:
    """Its API's address; its database and home are in a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")} | {"PREFECT_HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}/api"
            wait(f"{address}/health", process, tmp_path / "log")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
    with pytest.raises(OSError, match="refused"):  # gone, and nothing is left behind the port
        socket.create_connection(("127.0.0.1", port), timeout=1)


def wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not answer: {log.read_text()}")


def test_training_and_forecasting_are_completed_flow_runs_on_a_server(project: Project, server: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server}):
        made = project.train("model=[naive,day_type_naive]", "seed=13")
        project.forecast()
        with get_client(sync_client=True) as prefect:
            runs = {run.name: run.state_name for run in prefect.read_flow_runs()}
            tasks = {run.name: run.state_name for run in prefect.read_task_runs()}
    assert made.champion is not None
    assert made.champion.model == "day_type_naive"
    assert runs == {"training model=[naive,day_type_naive] seed=13": "Completed", "forecasting tiny": "Completed"}
    assert set(tasks.values()) <= {"Completed", "Cached"}
    assert {"ingest tiny", "backtest naive", "promote day_type_naive", "forecast tiny"} <= set(tasks)
