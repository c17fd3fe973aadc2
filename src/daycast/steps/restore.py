"""restore: the data of an earlier run, back in its place."""

from __future__ import annotations

from daycast.adapters import versioning
from daycast.settings import Settings
from daycast.steps import recorded
from daycast.steps.data import in_force
from daycast.steps.reference import DataRef


def restore(settings: Settings, run_id: str) -> DataRef:
    """Bring back exactly the raw, validated and prepared files of an MLflow run, and what points to them.

    Raises:
        ConfigError: there is no such run.
        ToolError: some bytes are nowhere (then nothing is changed), or DVC failed.
    """
    of_run = recorded.run(settings, run_id).run_id
    return in_force(settings, versioning.restore(settings.root, recorded.pointers(settings, of_run)))
