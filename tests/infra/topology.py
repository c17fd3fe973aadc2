"""The services of ``infra/compose.yaml`` without containers: its own commands and variables, as processes here.

What Docker would do is done by hand: each service's name becomes an address of this machine, ``/run/secrets`` a folder,
a volume a folder. PostgreSQL is Debian's.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from daycast.settings import QUIET
from tests.adapters import postgres
from tests.conftest import ROOT

INFRA = ROOT / "infra"
HERE = Path(sys.executable).parent
HEALTH = {"s3": "", "mlflow": "/health", "prefect": "/api/health"}  # what has to be up; a worker has a check too


@cache
def compose() -> dict[str, Any]:
    """The compose file."""
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


@dataclass
class Topology:
    """A running stack.

    Attributes:
        folder: its secrets, volumes and logs.
        ports: service name -> its port on 127.0.0.1.
        superuser: user and password of PostgreSQL's.
    """

    folder: Path
    ports: dict[str, int]
    superuser: tuple[str, str]

    def address(self, service: str) -> str:
        """Of an HTTP server."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def secret(self, name: str) -> str:
        """What a file of ``infra/secrets`` would hold."""
        return (self.folder / "secrets" / name).read_text()

    def here(self, value: str) -> str:
        """A value of the compose file as it has to be without containers."""
        value = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        for service, port in self.ports.items():
            value = re.sub(rf"\b{service}:\d+", f"127.0.0.1:{port}", value)
        return value.replace("/objects", str(self.folder / "objects"))

    def environment(self, service: str) -> dict[str, str]:
        """All that a process of the service knows: its variables in the compose file, and where the secrets are."""
        told = {name: self.here(value) for name, value in compose()["services"][service].get("environment", {}).items()}
        if "PGHOST" in told:
            told |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])}
        if told.get("PGUSER") == "postgres":
            told |= {"PGUSER": self.superuser[0], "PGPASSWORD": self.superuser[1]}
        return told | {
            "PATH": f"{HERE}{os.pathsep}/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "HOME": str(self.folder / "home"),
            "PREFECT_HOME": str(self.folder / service),
            "SECRETS": str(self.folder / "secrets"),
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }

    def worker(self, root: Path, state: Path) -> dict[str, str]:
        """What a worker on another machine would be given: addresses and passwords, a checkout and an empty folder."""
        environment = self.environment("worker-cpu") | {"DAYCAST_ROOT": str(root), "DAYCAST_STATE": str(state)}
        environment |= {"PYTHONPATH": str(root / "src") + os.pathsep + str(root), "HOME": str(state)}
        environment |= QUIET  # which the image has
        filled = {n: re.sub(r"\{(\w+)\}", lambda found: self.secret(found[1]), v) for n, v in environment.items()}
        del filled["SECRETS"], filled["PREFECT_HOME"]
        return filled

    def run(self, service: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command in the service's environment, its secrets filled in as in a container."""
        command = [INFRA / "with-secrets", *words]
        env = self.environment(service) | more
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def databases(self) -> None:
        """What PostgreSQL's image does on an empty volume."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"]), "PGPASSWORD": self.superuser[1]}
        self.run("postgres", "infra/postgres/databases.sh", POSTGRES_USER=self.superuser[0], **where)

    @contextmanager
    def up(self, *services: str) -> Iterator[None]:
        """Have these services running and healthy inside the block, and gone after it.

        On free ports, other ones each time: while nothing listens there, another test may take them.
        """
        with ExitStack() as stack:
            for service in services:
                self.ports[service] = free_port()
            for service in services:
                stack.enter_context(self._running(service))
            for service in services:
                self._wait(service)
            yield

    @contextmanager
    def working(self, environment: dict[str, str]) -> Iterator[None]:
        """Have a worker of the pool cpu inside the block, on the machine that the environment is of."""
        service = f"worker-{Path(environment['DAYCAST_ROOT']).parent.name}"
        self.ports[service] = free_port()
        more = {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "PREFECT_WORKER_WEBSERVER_PORT": str(self.ports[service])}
        with self._process(service, compose()["services"]["worker-cpu"]["command"], environment | more):
            self._wait(service)
            yield

    @contextmanager
    def _running(self, service: str) -> Iterator[None]:
        words = [self.here(word) for word in compose()["services"][service]["command"]]
        words = ["127.0.0.1" if word == "0.0.0.0" else word for word in words]
        if "--port" in words:
            words[words.index("--port") + 1] = str(self.ports[service])
        words = [re.sub(r"^0\.0\.0\.0:\d+$", f"127.0.0.1:{self.ports[service]}", word) for word in words]
        with self._process(service, [str(INFRA / "with-secrets"), *words], self.environment(service)):
            yield

    @contextmanager
    def _process(self, service: str, command: list[str], environment: dict[str, str]) -> Iterator[None]:
        with (self.folder / f"{service}.log").open("a") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # with its workers, a group of their own
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _wait(self, service: str) -> None:
        for _ in range(1200):
            healthy = [INFRA / "healthy", self.address(service) + HEALTH.get(service, "/health")]
            if subprocess.run(healthy, check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{service} did not answer: {(self.folder / f'{service}.log').read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def laid_out() -> Iterator[Topology]:
    """PostgreSQL with the databases, and everything that the others need to be brought up."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daycast-topology-")))
        subprocess.run([INFRA / "make-secrets", folder / "secrets"], check=True, capture_output=True)
        (folder / "objects").mkdir()
        database = urlsplit(stack.enter_context(postgres.server()))
        ports = {
            service: free_port() for service in HEALTH
        }  # of those that are not up yet: their addresses are asked for
        ports["postgres"] = database.port or 0
        topology = Topology(folder, ports, (database.username or "", database.password or ""))
        topology.databases()
        yield topology
