"""A new champion on trial: taken back if it does worse than the one before, and people are told."""

from __future__ import annotations

from prefect import task

from daycast import settings
from daycast.adapters import registry
from daycast.adapters.notices import Notice, tell
from daycast.config import compose
from daycast.core.retrain import Action
from daycast.steps import retrain as retrain_step
from daycast.steps.reference import DataRef
from flows import tasks


def judged(data: DataRef) -> Action:
    """Judge the champion that is on trial, if one is, by the newest data."""
    action = on_trial(data)
    if action.kind == "roll back":
        tell_of_rollback(data.dataset, action)
    return action


@task(task_run_name="hold the new champion of {data.dataset} against the one before", timeout_seconds=tasks.LONG)
def on_trial(data: DataRef) -> Action:
    here = settings.load()
    config = compose(here.root, [f"dataset={data.dataset}"], fitting=False)
    with tasks.shown("trial", data.dataset):
        return retrain_step.taken_back(here, config, data)


@task(task_run_name="tell of a rollback", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def tell_of_rollback(dataset: str, action: Action) -> int:
    title = f"daycast: the new champion of {dataset} is taken back"
    link = registry.link(settings.load().tracking_uri, registry.model_name(dataset), action.version)
    return tell(Notice(title, action.reason, link, f"daycast history dataset={dataset}", action.series))
