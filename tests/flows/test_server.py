"""The same flows, unchanged, against a real Prefect server on this machine."""

from __future__ import annotations

import json
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

pytestmark = pytest.mark.xdist_group("flows")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
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


@pytest.mark.usefixtures("project")
def test_training_is_a_completed_flow_run_on_a_server(server: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # In a process of its own: Prefect keeps one connection for what tasks tell, and here it is the test harness's.
    command = [sys.executable, "-m", "daycast", "run", "model=[naive,day_type_naive]", "seed=13", "--json"]
    env = os.environ | {"PREFECT_API_URL": server}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["champion"]["model"] == "day_type_naive"
    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as prefect:
        runs = {run.name: run.state_name for run in prefect.read_flow_runs()}
        tasks = {run.name: run.state_name for run in prefect.read_task_runs()}
    assert runs == {"training model=[naive,day_type_naive] seed=13": "Completed"}
    assert set(tasks.values()) == {"Completed", "Cached"}
    assert {"ingest tiny", "backtest naive", "promote day_type_naive", "forecast tiny"} <= set(tasks)
