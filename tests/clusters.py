"""Projects with a state of their own, and Dask clusters of processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daycast.settings import Settings
from tests.project import Project, environment


def elsewhere(project: Project, state: Path) -> Project:
    """The same project with another state."""
    url = f"sqlite:///{state}"
    return Project(
        Settings(project.settings.root, state, f"{url}/mlflow.db", f"{url}/studies.db", f"{url}/forecasts.db")
    )


@contextmanager
def at(project: Project) -> Iterator[None]:
    """Its environment, Prefect's home too, and its events."""
    from prefect.settings import PREFECT_HOME, temporary_settings

    from daycast.steps import progress

    here = project.settings
    with environment(here), temporary_settings({PREFECT_HOME: here.state / "prefect"}):
        os.environ["DAYCAST_STATE"] = str(here.state)
        with progress.listening(project.events.append):
            yield


@contextmanager
def running(states: list[Path], **env: str) -> Iterator[str]:
    """A cluster of processes of their own, a worker for each state; its scheduler's address."""
    names = {k: v for k, v in os.environ.items() if k != "PREFECT_HOME"} | env
    options = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    file = states[0].parent / f"{states[0].name}-scheduler.json"
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, "--port", "0"]
    started = [subprocess.Popen([*words, "--scheduler-file", str(file)], env=names)]
    try:
        for state in states:
            one = [sys.executable, "-m", "distributed.cli.dask_worker", *options, "--nthreads", "1", "--no-nanny"]
            one += ["--scheduler-file", str(file), "--local-directory", str(state.parent / "scratch")]
            started.append(subprocess.Popen(one, env=names | {"DAYCAST_STATE": str(state)}))
        for _ in range(600):
            if file.is_file():
                break
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:  # a worker that looks for its scheduler does not always hear
                process.kill()
                process.wait()
