"""A project whose servers, schedules and worker run for real; what the tests of unattended work share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from daycast.adapters import store, supervision
from daycast.settings import Settings
from flows import servers

T = TypeVar("T")
OWN = ("DAYCAST_", "PREFECT_", "MLFLOW_")


@dataclass
class House:
    """The project, and how to reach what runs in it.

    Attributes:
        environment: of its commands, beside what every process has.
    """

    settings: Settings
    environment: dict[str, str] = field(default_factory=dict)

    def daycast(self, *words: str, code: int = 0) -> Any:
        """What a command says with ``--json``; it must end with ``code``."""
        done = self.run(*words, "--json")
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if code == 0 else done.stderr

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command, as a user in the project's folder has it."""
        return subprocess.run(self.command(*words), timeout=280, **self.place())

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "daycast", *words]

    def place(self) -> dict[str, Any]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        return {
            "cwd": self.settings.root,
            "env": {**clean, **self.environment},
            "capture_output": True,
            "text": True,
            "check": False,
        }

    @property
    def address(self) -> dict[str, str]:
        """What leads to its servers."""
        told: dict[str, str] = json.loads((self.settings.state / "servers.json").read_text())["environment"]
        return told

    @contextmanager
    def prefect(self) -> Iterator[SyncPrefectClient]:
        """A client of its Prefect server."""
        changes = {PREFECT_API_URL: self.address["PREFECT_API_URL"]}
        with temporary_settings(changes), get_client(sync_client=True) as client:
            yield client

    def rows(self) -> pd.DataFrame:
        """Its forecast store."""
        with store.opened(self.settings.store_url) as engine:
            return store.read_forecasts(engine, "tiny")

    def processes(self) -> list[psutil.Process]:
        """All that it started and that still run."""
        return supervision.leftovers(servers.folder(self.settings))

    def engines(self) -> list[psutil.Process]:
        """Those of them that run a flow."""
        return [p for p in self.processes() if "prefect.engine" in p.cmdline() or "prefect.flow_engine" in p.cmdline()]

    def pid(self, name: str) -> int:
        """Of a supervised process."""
        return next(w.pid for w in supervision.watched(servers.folder(self.settings)) if w.name == name)

    def until(self, what: str, found: Callable[[], T], seconds: float = 600.0) -> T:
        """The first result that is true."""
        deadline = time.monotonic() + seconds
        while not (result := found()):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.logs()}"
            time.sleep(0.3)
        return result

    def logs(self) -> str:
        """The ends of what its processes wrote."""
        files = sorted(servers.folder(self.settings).glob("*.log"))
        return "\n".join(f"== {f.name}\n" + "\n".join(f.read_text().splitlines()[-25:]) for f in files)

    def end(self) -> None:
        """Kill whatever a failed test left."""
        for process in self.processes():
            os.kill(process.pid, signal.SIGKILL)


def listening(port: int) -> bool:
    """Whether anything listens there."""
    return any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("inet"))


def port_of(address: str) -> int:
    return int(address.split(":")[2].split("/")[0])


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
