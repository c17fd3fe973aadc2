"""How the forecasts of past days turned out, every day; a lasting loss raises an alarm."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import State, flow, task
from prefect.events import emit_event

from daycast import settings
from daycast.adapters.notices import Notice, tell
from daycast.config import compose
from daycast.core.retrain import Action
from daycast.steps import monitor as monitor_step
from daycast.steps import retrain as retrain_step
from daycast.steps.outcomes import MonitoredRef
from daycast.steps.reference import DataRef
from flows import newest, tasks

ALARM = "daycast.alarm"  # the event


def resource(dataset: str) -> str:
    """What an alarm is about, in Prefect's words."""
    return f"daycast.dataset.{dataset}"


@task(task_run_name="monitor {data.dataset}", timeout_seconds=tasks.LONG, **tasks.RETRIED)
def monitor(data: DataRef) -> MonitoredRef:
    here = settings.load()
    with tasks.shown("monitor", data.dataset):
        return monitor_step.monitor(here, compose(here.root, [f"dataset={data.dataset}"], fitting=False), data)


@task(task_run_name="hold the new champion of {data.dataset} against the one before", timeout_seconds=tasks.LONG)
def on_trial(data: DataRef) -> Action:
    here = settings.load()
    config = compose(here.root, [f"dataset={data.dataset}"], fitting=False)
    with tasks.shown("trial", data.dataset):
        return retrain_step.taken_back(here, config, data, retrain_step.today(config))


@task(task_run_name="tell of a rollback", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def tell_of_rollback(dataset: str, reason: str) -> int:
    return tell(
        Notice(
            f"daycast: the new champion of {dataset} is taken back", reason, None, f"daycast history dataset={dataset}"
        )
    )


@task(task_run_name="tell of an alarm", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def tell_people(found: MonitoredRef) -> int:
    command = f"daycast run dataset={found.dataset} --fetch"
    return tell(Notice(f"daycast: {found.dataset} is forecast badly", found.reason, None, command))


@flow(name="monitoring", flow_run_name="monitoring {dataset}")
def monitoring(dataset: str, as_of: date | None = None, fetch: bool = True) -> MonitoredRef | State[Any]:
    """Fetch what came, and judge the forecasts by it. An alarm is told to people, and to Prefect as an event.

    A new champion that does worse on its trial than the one before would have is rolled back, and people are told.

    As of a past day, it is only looked at: what was bad then may be mended by now.

    Args:
        dataset: its name, as in ``conf/dataset``.
        as_of: last date whose data may be seen; ``None`` for all there is.
        fetch: whether to ask the source for newer data where some is there already.
    """
    if (superseded := newest.superseded()) is not None:
        return superseded
    data = tasks.prepared(dataset, fetch, as_of).until(as_of)
    found = monitor(data)
    if found.alarm and as_of is None:
        emit_event(ALARM, resource={"prefect.resource.id": resource(dataset)}, payload={"reason": found.reason})
        tell_people(found)
    if as_of is None and (action := on_trial(data)).kind == "roll back":
        tell_of_rollback(dataset, action.reason)
    return found
