"""The command that trains a dataset again as its pipeline does: what an alarm suggests."""

from __future__ import annotations

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from daycast import settings
from daycast.config import compose
from daycast.errors import ConfigError
from flows import notifying


def command(dataset: str) -> str:
    """With the overrides of the deployed training, else of the shipped models those that suit the dataset."""
    overrides = _deployed(dataset) or _suiting(dataset)
    if overrides is None:
        return f"daycast config show dataset={dataset}"  # which says what no training could start with
    return notifying.command("training", {"overrides": overrides, "fetch": True})


def _deployed(dataset: str) -> list[str] | None:
    try:
        with get_client(sync_client=True) as prefect:
            found = prefect.read_deployment_by_name(f"training/{dataset}")
    except (ObjectNotFound, HTTPError):  # an alarm has to be told all the same
        return None
    return found.parameters.get("overrides")


def _suiting(dataset: str) -> list[str] | None:
    root, alone = settings.load().root, [f"dataset={dataset}"]
    some = [*alone, f"model=[{','.join(compose(root, alone, fitting=False).suiting())}]"]
    for overrides in (alone, some):
        try:
            compose(root, overrides)
        except ConfigError:
            continue
        return overrides
    return None
