"""What a run left of itself: its configuration, its data, its models' figures."""

from __future__ import annotations

import json
from collections.abc import Mapping

from daycast.adapters import tracking
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps.record import COMPARED, tracker
from daycast.steps.reference import DataRef

CONFIG, POINTERS = "config.yaml", "data_pointers.json"  # artifacts of the run
COMPLETE = COMPARED  # tags of a run that has them


def run(settings: Settings, run_id: str) -> tracking.Run:
    """The run that somebody named. Raises ``ConfigError`` if MLflow has none of that id."""
    found = tracking.known(tracker(settings), run_id)
    if found is None:
        raise ConfigError(
            f"the id of a run in MLflow at {settings.tracking_uri}",
            f"`{run_id}`, which no run has",
            "look it up: `daycast leaderboard --json` tells the newest run's, `daycast ui` shows every run; or let "
            "MLFLOW_TRACKING_URI name the server that has it",
        )
    return found


def configuration(settings: Settings, run_id: str) -> str:
    """The YAML of a run's configuration. Raises ``MissingError`` if there is none."""
    return tracking.text(tracker(settings), run_id, CONFIG)


def pointers(settings: Settings, run_id: str) -> dict[str, str]:
    """What brings a run's data back (``DataVersion.pointers``). Raises ``MissingError`` if it is not there."""
    return dict(json.loads(tracking.text(tracker(settings), run_id, POINTERS)))


def data(settings: Settings, dataset: str, run_id: str, tags: Mapping[str, str]) -> DataRef:
    """The data that a run was of. Raises ``MissingError`` as ``pointers``."""
    version, as_of = tags["daycast.data_version"], tags.get("daycast.as_of")
    return DataRef(dataset=dataset, version=version, pointers=pointers(settings, run_id), as_of=as_of)
