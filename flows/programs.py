"""Which programs `daycast up` keeps running: their commands, ports and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from daycast.adapters import supervision, tracking
from daycast.adapters.supervision import Program
from daycast.settings import Settings
from daycast.steps.record import tracker

PORTS = {"mlflow": 5000, "prefect": 4200, "worker-cpu": 4280, "worker-gpu": 4281}
LOUD = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_ROOT_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Server:
    """One of them.

    Attributes:
        url: its page for people; of a worker, its health check.
        health: address that answers 200 while it works.
        state: as its supervisor sees it, such as ``RUNNING``; ``elsewhere`` for one that others run.
    """

    name: str
    url: str
    health: str
    pid: int = 0
    state: str = "elsewhere"
    seconds: int = 0
    healthy: bool = False


@dataclass(frozen=True)
class Wanted:
    """What ``up`` was asked for.

    Attributes:
        mlflow_port, prefect_port: they have to be these and no others.
        gpu: a worker of the GPU pool too.
        training: overrides of the scheduled training.
    """

    mlflow_port: int | None = None
    prefect_port: int | None = None
    gpu: bool = False
    training: tuple[str, ...] = ()


def planned(
    settings: Settings, wanted: Wanted, before: Mapping[str, int]
) -> tuple[dict[str, Server], list[Program], dict[str, str]]:
    """What to start, with its commands and environment; servers that the environment names are not started.

    Args:
        before: ports of the last time, which are taken again where they are free.

    Raises:
        ToolError: a port that has to be this one is taken.
    """
    fixed = {"mlflow": wanted.mlflow_port, "prefect": wanted.prefect_port}
    names = ["worker-cpu", *(["worker-gpu"] if wanted.gpu else [])]
    embedded = settings.tracking_uri.startswith("sqlite:")
    api = os.environ.get("PREFECT_API_URL")
    names += ["mlflow"] if embedded else []
    names += ["prefect"] if not api else []
    ports = {
        name: supervision.free_port(fixed.get(name) or before.get(name, PORTS[name]), exactly=bool(fixed.get(name)))
        for name in sorted(names)
    }
    at = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environment = {
        "MLFLOW_TRACKING_URI": at.get("mlflow", settings.tracking_uri),
        "PREFECT_API_URL": api or f"{at['prefect']}/api",
        "DAYCAST_ROOT": str(settings.root),
        "DAYCAST_STATE": str(settings.state),
        **LOUD,
    }
    servers, programs = {}, []
    if "mlflow" in ports:
        servers["mlflow"] = Server("mlflow", at["mlflow"], f"{at['mlflow']}/health")
        programs.append(Program("mlflow", tuple(tracking.server_command(tracker(settings), ports["mlflow"]))))
        environment |= tracking.SERVER_ENVIRONMENT
    if "prefect" in ports:
        servers["prefect"] = Server("prefect", at["prefect"], f"{at['prefect']}/api/health")
        words = ("server", "start", "--host", "127.0.0.1", "--port", str(ports["prefect"]))
        programs.append(Program("prefect", (sys.executable, "-m", "prefect", *words)))
        environment |= {
            "PREFECT_SERVER_UI_API_URL": f"{at['prefect']}/api",
            "PREFECT_UI_URL": at["prefect"],
        }
    for name in sorted(n for n in names if n.startswith("worker")):
        servers[name] = Server(name, f"{at[name]}/health", f"{at[name]}/health")
        own = (f"PREFECT_WORKER_WEBSERVER_PORT={ports[name]}", "PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1")
        pool = name.removeprefix("worker-")
        words = (
            "worker",
            "start",
            "--pool",
            pool,
            "--type",
            "process",
            "--name",
            f"daycast-{pool}",
            "--with-healthcheck",
        )
        programs.append(Program(name, ("env", *own, sys.executable, "-m", "prefect", *words), automatic=False))
    return servers, programs, environment
