"""Where this machine keeps things, and its endpoints: from the environment, never from ``conf/``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from daycast.errors import ConfigError

# Every library's telemetry, off unless the user turned it on; the only place where this is decided.
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a server's runs print their address, into --json too
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

DATA_REMOTE = "DAYCAST_DVC_REMOTE"  # address of DVC's default remote, such as s3://bucket/x; else .dvc/config has it
SERVERS = "servers.json"  # in the state folder: the servers that `daycast up` keeps running
OUTCOME = "DAYCAST_OUTCOME"  # names the file in which the process of a DVC stage leaves word of how it ended
PROGRESS = "daycast progress:"  # begins the lines in which it tells how far it is: parts done, and all


@dataclass(frozen=True)
class Settings:
    """Folders and endpoints.

    Attributes:
        root: project folder, holding conf/ and dvc.yaml (``DAYCAST_ROOT``; else found from the working directory up).
        state: embedded databases, artifacts and caches (``DAYCAST_STATE``; else ``ROOT/.daycast``).
        tracking_uri: MLflow tracking and registry (``MLFLOW_TRACKING_URI``; else the server of ``daycast up`` while it
            runs; else SQLite in ``state``).
        studies_url: Optuna studies, an RDB URL (``DAYCAST_STUDIES_URL``; else SQLite in ``state``).
        store_url: forecast store, a SQLAlchemy URL (``DAYCAST_STORE_URL``; else SQLite in ``state``).
        cache_url: where the machines of a cluster share results of steps, for fsspec (``DAYCAST_CACHE_URL``; else
            nowhere: they lie in ``state``).
    """

    root: Path
    state: Path
    tracking_uri: str
    studies_url: str
    store_url: str
    cache_url: str | None = None

    def cache(self, step: str, key: str) -> Path:
        """Folder of a step's cached result under its content key (not created)."""
        return self.state / "cache" / step / key

    @property
    def embedded_artifacts(self) -> Path:
        """MLflow's artifact folder when no server is configured."""
        return self.state / "mlartifacts"


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds ``dvc.yaml`` and ``conf/config.yaml``.

    Raises:
        ConfigError: there is none.
    """
    found = next((folder for folder in (start, *start.parents) if _is_project(folder)), None)
    if found is None:
        raise ConfigError(
            "a daycast project: a folder with dvc.yaml and conf/config.yaml, here or above",
            str(start),
            "change into your clone of daycast, or set DAYCAST_ROOT to it",
        )
    return found


def _is_project(folder: Path) -> bool:
    return (folder / "dvc.yaml").is_file() and (folder / "conf" / "config.yaml").is_file()


def load() -> Settings:
    """Read the environment. Nothing is created or changed.

    Raises:
        ConfigError: no project folder was found, or the named one is none.
    """
    env = os.environ
    root = Path(env["DAYCAST_ROOT"]).resolve() if env.get("DAYCAST_ROOT") else find_root(Path.cwd().resolve())
    if not _is_project(root):
        raise ConfigError(
            "DAYCAST_ROOT to be a daycast project: a folder with dvc.yaml and conf/config.yaml",
            str(root),
            "set it to your clone of daycast, or unset it and change into the clone",
        )
    state = Path(env.get("DAYCAST_STATE") or root / ".daycast").resolve()
    tracking = env.get("MLFLOW_TRACKING_URI") or running(state).get("MLFLOW_TRACKING_URI")
    return Settings(
        root=root,
        state=state,
        tracking_uri=tracking or f"sqlite:///{state / 'mlflow.db'}",
        studies_url=env.get("DAYCAST_STUDIES_URL") or f"sqlite:///{state / 'studies.db'}",
        store_url=env.get("DAYCAST_STORE_URL") or f"sqlite:///{state / 'forecasts.db'}",
        cache_url=env.get("DAYCAST_CACHE_URL") or None,
    )


def running(state: Path) -> dict[str, str]:
    """The environment variables that lead to the servers of ``daycast up``; none unless it runs on this machine.

    A record whose process has ended, or whose number another process has by now, counts for nothing.
    """
    try:
        told = json.loads((state / SERVERS).read_text(encoding="utf-8"))
        alive = began(told["pid"]) == told["began"]
    except (OSError, ValueError, KeyError, IndexError):
        return {}
    return dict(told["environment"]) if alive else {}


def began(pid: int) -> int:
    """When a process began, in clock ticks since this machine did: with its number, what tells it from all others.

    Raises:
        OSError: there is no such process, or it has ended and nobody asked how.
    """
    state, *told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if state in ("Z", "X"):
        raise ProcessLookupError(pid)
    return int(told[18])


def apply(settings: Settings, debug: bool = False) -> None:
    """Make the folders, and tell the tools through the environment where their state is; call before importing them.

    What the user has set stands.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    defaults = QUIET | {
        "PREFECT_HOME": str(settings.state / "prefect"),
        # Errors are shown once, by the command line; the embedded server also complains when it is ended.
        "PREFECT_LOGGING_LEVEL": "INFO" if debug else "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING" if debug else "CRITICAL",
        "PREFECT_LOGGING_ROOT_LEVEL": "WARNING" if debug else "CRITICAL",
        # The embedded server takes 10 s to start, and several times that on a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        # Else a slot or a GPU's token that was held when its run or the server was killed would never be given back.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # Of a cluster's scheduler and clients here, and of the workers that this process starts.
        "DASK_LOGGING": str(dict.fromkeys(("distributed", "distributed.client"), "INFO" if debug else "CRITICAL")),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "MLFLOW_LOGGING_LEVEL": "INFO" if debug else "WARNING",
        "OMP_NUM_THREADS": "1",  # small recurrent networks lose, never gain, from a second thread
        **running(settings.state),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
