"""Reading runs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from daycast.adapters.mlflow_client import connected
from daycast.adapters.tracking.experiments import KIND, PARENT, Tracking, name_of, search
from daycast.errors import MissingError, ToolError

if TYPE_CHECKING:
    from mlflow.entities import Run as Recorded


@dataclass(frozen=True)
class Run:
    """A run as it was recorded.

    Attributes:
        started: milliseconds since 1970 UTC.
        metrics: the last value of each.
        artifacts: address of the folder of its artifacts.
        deleted: whether it is in MLflow's bin, from where it can be restored.
    """

    run_id: str
    name: str
    status: str
    started: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: str = ""
    deleted: bool = False


def find(tracking: Tracking, run_id: str) -> Run:
    """One run by its id. Raises ``ToolError`` if there is none."""
    with connected(tracking.uri) as client:
        return _read(client.get_run(run_id))


def known(tracking: Tracking, run_id: str) -> Run | None:
    """One run by its id, or ``None`` if there is none."""
    from mlflow.exceptions import MlflowException

    with connected(tracking.uri) as client:
        try:
            return _read(client.get_run(run_id))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def latest(tracking: Tracking, dataset: str, tags: Mapping[str, str]) -> Run | None:
    """The newest finished pipeline run of a dataset that has these tags, or ``None``."""
    with connected(tracking.uri) as client:
        experiment = client.get_experiment_by_name(name_of(dataset))
        if experiment is None:
            return None
        found = search(client, experiment.experiment_id, {**tags, KIND: "run"}, status="FINISHED", newest=True)
        return _read(found[0]) if found else None


def finished(tracking: Tracking, dataset: str, tags: Mapping[str, str]) -> list[Run]:
    """All finished pipeline runs of a dataset that have these tags, oldest first."""
    with connected(tracking.uri) as client:
        experiment = client.get_experiment_by_name(name_of(dataset))
        if experiment is None:
            return []
        return [_read(r) for r in search(client, experiment.experiment_id, {**tags, KIND: "run"}, status="FINISHED")]


def children(tracking: Tracking, run_id: str, kind: Literal["model", "trial"] = "model") -> list[Run]:
    """The runs inside a run, oldest first."""
    with connected(tracking.uri) as client:
        at = client.get_run(run_id).info.experiment_id
        return [_read(r) for r in search(client, at, {PARENT: run_id, KIND: kind})]


def points(tracking: Tracking, run: Run) -> dict[tuple[str, int], tuple[float, ...]]:
    """All that was ever logged of a run's metrics: name and step -> its values, each once; commonly that is one.

    The last value of a metric, which MLflow keeps a second time and shows, is among those of its last step.
    """
    found: dict[tuple[str, int], list[float]] = {}
    with connected(tracking.uri) as client:
        for name, last in run.metrics.items():
            history = client.get_metric_history(run.run_id, name)  # a request each: MLflow has no other for clients
            for point in history:
                found.setdefault((name, point.step), []).append(point.value)
            found.setdefault((name, max((p.step for p in history), default=0)), []).append(last)
    return {key: tuple(np.unique(values).tolist()) for key, values in found.items()}


def text(tracking: Tracking, run_id: str, path: str) -> str:
    """The text of a run's artifact.

    Raises:
        MissingError: there is none, or no such run.
        ToolError: MLflow does not answer.
    """
    from mlflow.artifacts import download_artifacts

    with connected(tracking.uri) as client, tempfile.TemporaryDirectory() as folder:
        at = f"{client.get_run(run_id).info.artifact_uri.rstrip('/')}/{path}"
        try:  # not by the client's own way, which calls any fault a wrong path
            file = download_artifacts(at, dst_path=folder, tracking_uri=tracking.uri)
        except Exception as error:  # each kind of store has errors of its own
            wanted = f"the file {path} of run {run_id} in MLflow at {tracking.uri}"
            if _absent(tracking.uri, at):
                found, fix = f"MLflow answers, and there is nothing at {at}", "restore it from a backup, or run again"
                raise MissingError(wanted, found, fix) from error
            raise ToolError(
                wanted, f"{type(error).__name__}: {error}", "check that its store of files is up"
            ) from error
        return Path(file).read_text(encoding="utf-8")


def _absent(uri: str, address: str) -> bool:
    """Whether the store of files answers, and has nothing at an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder, _, name = address.rpartition("/")
    try:
        return name not in {file.path for file in get_artifact_repository(folder, tracking_uri=uri).list_artifacts()}
    except Exception:  # noqa: BLE001  # it does not answer: each kind of store has errors of its own
        return False


def link(tracking: Tracking, run_id: str) -> str | None:
    """Address of a run in the server's UI, or ``None`` where no server is configured."""
    if not tracking.uri.startswith("http"):
        return None
    with connected(tracking.uri) as client:
        return f"{tracking.uri.rstrip('/')}/#/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}"


def _read(run: Recorded) -> Run:
    return Run(
        run.info.run_id,
        run.info.run_name,
        run.info.status,
        run.info.start_time,
        dict(run.data.tags),
        dict(run.data.params),
        dict(run.data.metrics),
        run.info.artifact_uri,
        run.info.lifecycle_stage == "deleted",
    )
