"""One machine's servers: MLflow, Prefect, and a worker, kept running and shown; all of it ended together."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from daycast import models
from daycast import settings as daycast_settings
from daycast.adapters import supervision
from daycast.config import Dataset
from daycast.errors import ConfigError, ToolError
from daycast.settings import SERVERS, Settings
from daycast.steps import progress
from flows import deploying
from flows.programs import Server, Wanted, planned

HEALTHY_S = 240.0  # a new database takes half a minute of migrations, and several times that on a busy machine
BETWEEN_S = 0.5


def folder(settings: Settings) -> Path:
    """Configuration and logs of the servers."""
    return settings.state / "servers"


def running(settings: Settings) -> bool:
    """Whether ``up`` has been here, and its supervisor lives."""
    return supervision.alive(folder(settings)) is not None


def up(settings: Settings, dataset: Dataset, wanted: Wanted) -> bool:
    """Start what does not run yet, wait until it is healthy, and deploy the flows; whether anything had to be started.

    What an ``up`` that was killed had started is ended, and all of it started anew.

    Raises:
        ConfigError: there is no GPU for the worker that is wanted.
        ToolError: a port is taken, or something did not come up; then nothing is left running. Or all of it runs, but
            otherwise than asked for; then it stays as it is.
    """
    with _alone(settings):
        if running(settings) and daycast_settings.running(settings.state):
            _attach(settings, wanted)
            _deploy(settings, dataset, wanted.training)
            return False
        left = supervision.stop(folder(settings))
        if left:
            progress.emit("start", "left over", left, left, f"ended {left} processes of an unclean shutdown")
        try:
            _start(settings, dataset, wanted)
        except BaseException:
            supervision.stop(folder(settings))
            raise
        return True


def down(settings: Settings) -> int:
    """End all of it; how many processes there were. Doing it again ends none."""
    with _alone(settings):
        found = len(supervision.leftovers(folder(settings)))
        supervision.stop(folder(settings))
        return found


def left_over(settings: Settings) -> int:
    """How many processes a supervisor that died has left; none while one lives."""
    return 0 if running(settings) else len(supervision.leftovers(folder(settings)))


def clear(settings: Settings) -> int:
    """End what a supervisor that died has left; how many processes."""
    with _alone(settings):
        if found := left_over(settings):
            supervision.stop(folder(settings))
        return found


def overview(settings: Settings) -> list[Server]:
    """All servers in use, with their health; none if none is used."""
    known: list[Server] = []
    if running(settings):
        seen = {w.name: w for w in supervision.watched(folder(settings))}
        for told in _told(settings).get("servers", []):
            if (w := seen.get(told["name"])) is not None:
                known.append(Server(w.name, told["url"], told["health"], w.pid, w.state, w.seconds))
    known += _elsewhere(settings, {s.name for s in known})
    return [replace(s, healthy=answers(s.health)) for s in known]


def answers(url: str) -> bool:
    """Whether an address answers with 200 within two seconds."""
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _elsewhere(settings: Settings, own: set[str]) -> Iterator[Server]:
    if settings.tracking_uri.startswith("http") and "mlflow" not in own:
        uri = settings.tracking_uri.rstrip("/")
        yield Server("mlflow", uri, f"{uri}/health")
    api = os.environ.get("PREFECT_API_URL")
    if api and "prefect" not in own:
        yield Server("prefect", api.rstrip("/").removesuffix("/api"), f"{api.rstrip('/')}/health")


def _start(settings: Settings, dataset: Dataset, wanted: Wanted) -> None:
    if wanted.gpu and not models.gpus():
        raise ConfigError("a GPU on this machine, as --gpu says", "none", "leave --gpu out: training runs on the CPU")
    before = {s["name"]: int(s["url"].rpartition(":")[2].partition("/")[0]) for s in _told(settings).get("servers", [])}
    servers, programs, environment = planned(settings, wanted, before)
    pid = supervision.launch(folder(settings), programs, environment, settings.root)
    for name in ("mlflow", "prefect"):
        if name in servers:
            _until_healthy(settings, servers[name])
    told = {
        "pid": pid,
        "began": daycast_settings.began(pid),
        "environment": {k: environment[k] for k in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")},
        "servers": [asdict(s) for s in servers.values()],
    }
    part = settings.state / f".{SERVERS}.part"
    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    os.environ |= told["environment"]
    _deploy(settings, dataset, wanted.training)
    for name in servers:
        if name.startswith("worker"):
            supervision.start(folder(settings), name)
            _until_healthy(settings, servers[name])
    part.replace(settings.state / SERVERS)  # from here on other commands use them


def _attach(settings: Settings, wanted: Wanted) -> None:
    """Wait until what runs is healthy, if it is what is wanted."""
    told = {s["name"]: Server(**s) for s in _told(settings)["servers"]}
    asked = {"mlflow": wanted.mlflow_port, "prefect": wanted.prefect_port}
    other = [f"{n} on port {port}" for n, port in asked.items() if port and not _is_at(told.get(n), port)]
    if wanted.gpu and "worker-gpu" not in told:
        other.append("a worker of the pool gpu")
    if other:
        found = ", ".join(f"{s.name} at {s.url}" for s in told.values())
        raise ToolError(
            " and ".join(other), f"running already, without: {found}", "`daycast down`, then the same again"
        )
    for one in told.values():
        _until_healthy(settings, one)


def _is_at(server: Server | None, port: int) -> bool:
    return server is not None and server.url.endswith(f":{port}")


def _until_healthy(settings: Settings, server: Server) -> None:
    deadline = time.monotonic() + HEALTHY_S
    progress.emit("start", server.name, 0, 0, server.url)
    while not answers(server.health):
        (seen,) = [w for w in supervision.watched(folder(settings)) if w.name == server.name]
        if seen.state in ("FATAL", "EXITED", "BACKOFF") or time.monotonic() > deadline:
            log = supervision.log_file(folder(settings), server.name)
            said = log.read_text(errors="replace").strip().splitlines()[-8:] if log.is_file() else []
            raise ToolError(
                f"{server.name} to answer at {server.health}",
                "\n".join([f"{seen.state.lower()} after {seen.seconds} s", *said]),
                f"mend what it names; its log is {log}",
            )
        time.sleep(BETWEEN_S)
    progress.emit("start", server.name, 1, 1, f"healthy at {server.url}")


def _deploy(settings: Settings, dataset: Dataset, training: Sequence[str]) -> None:
    progress.emit("deploy", dataset.name, 0, 0, "pools, deployments, automations")
    names = deploying.deploy(settings, dataset, training=training)
    progress.emit("deploy", dataset.name, 1, 1, f"{len(names)} deployments")


def _told(settings: Settings) -> dict[str, list[dict[str, str]]]:
    try:
        told: dict[str, list[dict[str, str]]] = json.loads((settings.state / SERVERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Inside the block, no other ``up`` or ``down`` of this folder is at work."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder(settings) / "lock", timeout=HEALTHY_S):
            yield
    except Timeout as error:
        raise ToolError("no other `daycast up` or `down` at work here", "one that does not end", "end it") from error
