"""What a worker of a Dask cluster needs to run tasks of a flow, wherever it runs."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from distributed import Worker, WorkerPlugin
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from daycast import settings
from daycast.core import content
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import progress

CODE, PREFECT, CACHE = "the code and its libraries", "PREFECT_API_URL", "DAYCAST_CACHE_URL"
ENDPOINTS = {
    "MLFLOW_TRACKING_URI": "tracking_uri",
    "DAYCAST_STUDIES_URL": "studies_url",
    "DAYCAST_STORE_URL": "store_url",
}
TIMEOUT_S = 10
MARK = ".daycast-mark"  # file that tells a folder from any other, whatever path leads there

_stopped: set[str] = set()  # topics of runs whose work shall end


def topic(run: str) -> str:
    """Under which workers tell the progress of a flow run."""
    return f"daycast {run}"


def stop(told: str) -> None:
    """End what this process does for a run where it next tells its progress."""
    _stopped.add(told)


def expected(here: Settings) -> dict[str, str]:
    """What all processes of a run must have in common, as this one has it."""
    return {**_own(here, make=True), PREFECT: PREFECT_API_URL.value()}


def _own(here: Settings, *, make: bool = False) -> dict[str, str]:
    places = {name: getattr(here, field) for name, field in ENDPOINTS.items()}
    # Without a store for all, results have to lie in one folder that all of them see.
    places[CACHE] = here.cache_url or str(here.state)
    return {CODE: content.code("")} | {name: _identity(place, make=make) for name, place in places.items()}


class StoppedError(Exception):
    """The run was interrupted where it was started; an interrupt itself would close the worker."""


class Ready(WorkerPlugin):
    """Makes a worker ready, and refuses one that would compute something else or put it elsewhere."""

    name = "daycast"

    def __init__(self, expected: Mapping[str, str]) -> None:
        self.expected = dict(expected)

    def setup(self, worker: Worker) -> None:
        """Raises ``ConfigError`` of what differs from the process that started the flow."""
        here = settings.load()
        settings.apply(here)
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # of libraries, to those who program with them
        self._check(here, worker.address)

        def tell(event: progress.Event) -> None:
            told = topic(str(flow_run.id))
            if told in _stopped:
                raise StoppedError(told)
            worker.log_event(told, {"event": asdict(event)})

        self.listening = progress.listening(tell)
        self.listening.__enter__()

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - the plugin's interface
        self.listening.__exit__(None, None, None)

    def _check(self, here: Settings, address: str) -> None:
        differ = [name for name, value in _own(here).items() if value != self.expected[name]]
        if differ:
            raise ConfigError(
                "workers with the code, the libraries and the servers of the process that starts the run",
                f"on {address} another value of {', '.join(differ)}",
                "install the same commit with the same constraints.txt there, and start its worker with the same "
                "environment; for machines that share no folder, servers and DAYCAST_CACHE_URL (docs/scale.md)",
            )
        try:
            httpx.get(f"{self.expected[PREFECT]}/health", timeout=TIMEOUT_S)
        except httpx.HTTPError as error:
            raise ConfigError(
                f"a Prefect server that the cluster's workers reach: {PREFECT}",
                f"{address} does not reach {self.expected[PREFECT]}: {error}",
                "start `prefect server start --host ...` on an address for all, and set PREFECT_API_URL to it",
            ) from error


def _identity(url: str, *, make: bool) -> str:
    """What tells a place from any other: of a server its address, hashed as it may hold a password; of a folder or a
    SQLite file, which another machine may have under the same path, the mark that this process has left there."""
    place = urlsplit(url)
    if place.scheme.startswith("sqlite"):
        return _mark(Path(url.partition("///")[2]).parent, make=make)
    if place.scheme in ("", "file"):
        return _mark(Path(place.path), make=make)
    return hashlib.sha256(url.encode()).hexdigest()


def _mark(folder: Path, *, make: bool) -> str:
    file = folder / MARK
    if make and not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{MARK}-{uuid4().hex}"
        part.write_text(uuid4().hex)
        part.replace(file)
    return file.read_text() if file.is_file() else "none"
