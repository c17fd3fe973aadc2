"""Where runs are kept in MLflow: experiments, searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daycast.errors import ToolError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Recorded

KEY, KIND, RECORDED, TRIAL = "daycast.key", "daycast.kind", "daycast.recorded", "daycast.trial"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
ABOUT = {
    "mlflow.experimentKind": "custom_model_development",  # else the UI is laid out for language models
    NOTE: "A run per pipeline run; inside it a run per model, and inside that one per trial of its search.",
}


@dataclass(frozen=True)
class Tracking:
    """Where runs are kept.

    Attributes:
        uri: MLflow's tracking URI.
        artifacts: folder of the artifacts where ``uri`` is an embedded database; servers keep their own.
    """

    uri: str
    artifacts: Path | None = None


def name_of(dataset: str) -> str:
    """Name of a dataset's experiment."""
    return f"daycast/{dataset}"


def experiment(client: MlflowClient, tracking: Tracking, dataset: str) -> str:
    """Id of the dataset's experiment, made if there is none.

    Raises:
        ToolError: it was deleted in MLflow.
    """
    from mlflow.exceptions import MlflowException

    name = name_of(dataset)
    found = client.get_experiment_by_name(name)
    if found is None:
        embedded = tracking.artifacts if tracking.uri.startswith("sqlite:") else None
        place = (embedded.resolve() / name).as_uri() if embedded else None
        try:
            return client.create_experiment(name, artifact_location=place, tags=ABOUT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found is None or found.lifecycle_stage != "active":
        raise ToolError(
            f"the experiment {name}, active",
            "it was deleted in MLflow",
            f"restore it: `mlflow experiments restore -x {found.experiment_id if found else 'ID'}`",
        )
    return found.experiment_id


def search(
    client: MlflowClient, experiment_id: str, tags: Mapping[str, str], status: str | None = None, newest: bool = False
) -> list[Recorded]:
    """All runs with these tags (and this status), oldest first; with ``newest`` only the newest one."""
    terms = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    terms += [f"attributes.status = '{status}'"] if status else []
    order = [f"attributes.start_time {'DESC' if newest else 'ASC'}"]
    found: list[Recorded] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            " and ".join(terms),
            max_results=1 if newest else 1000,
            order_by=order,
            page_token=token,
        )
        found += page
        token = page.token
        if newest or not token:
            return found
