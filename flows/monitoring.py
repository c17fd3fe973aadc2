"""How the forecasts of past days turned out, every day; a lasting loss raises an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from prefect import State, flow, get_run_logger, task
from prefect.events import emit_event

from daycast import settings
from daycast.adapters.notices import Notice, log, tell
from daycast.adapters.store import Episode
from daycast.config import compose, dataset_only
from daycast.core import alarms
from daycast.errors import DaycastError, ToolError
from daycast.steps import episodes
from daycast.steps import monitor as monitor_step
from daycast.steps.outcomes import MonitoredRef
from daycast.steps.reference import DataRef
from flows import again, anyway, newest, tasks, trials

ALARM = "daycast.alarm"  # the event


def resource(dataset: str) -> str:
    """What an alarm is about, in Prefect's words."""
    return f"daycast.dataset.{dataset}"


@task(task_run_name="monitor {data.dataset}", timeout_seconds=tasks.LONG, **tasks.RETRIED)
def monitor(data: DataRef) -> MonitoredRef:
    here = settings.load()
    with tasks.shown("monitor", data.dataset):
        return monitor_step.monitor(here, compose(here.root, [f"dataset={data.dataset}"], fitting=False), data)


@task(task_run_name="follow the alarms of {found.dataset}", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def follow(found: MonitoredRef, day: date) -> tuple[Episode, ...]:
    here = settings.load()
    return episodes.follow(here, compose(here.root, [f"dataset={found.dataset}"], fitting=False), found, day)


@task(task_run_name="tell that it {episode.event}", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def tell_people(notice: Notice, episode: Episode, day: date) -> int:
    """Tell every configured place, and write down that it was told, so that an attempt that failed is made again."""
    many = tell(notice)
    episodes.told(settings.load(), episode, day)
    return many


@flow(name="monitoring", flow_run_name="monitoring {dataset}")
def monitoring(dataset: str, as_of: date | None = None, fetch: bool = True) -> MonitoredRef | State[Any]:
    """Fetch what came, and judge the forecasts by it. An alarm is told to people, and to Prefect as an event.

    People are told when an episode of alarms begins, again while it goes on, and when it is over. Prefect is told every
    day of an alarm on forecasts: its automation asks for training, and the retrain rule answers. A new champion that
    does worse on its trial than the one before would have is rolled back, and people are told. Data that can't be
    fetched or are no good fail the run, but not before what there is was looked at: what was found then is for ``seen``
    to tell. As of a past day, it is only looked at: what was bad then may be mended by now.

    Args:
        dataset: its name, as in ``conf/dataset``.
        as_of: last date whose data may be seen; ``None`` for all there is.
        fetch: whether to ask the source for newer data where some is there already.
    """
    if (superseded := newest.superseded()) is not None:
        return superseded
    if as_of is not None:
        return monitor(tasks.prepared(dataset, fetch, as_of).until(as_of))
    faults: list[Exception] = []  # one thing that fails keeps nobody from the others
    with _collected(faults):
        data = tasks.prepared(dataset, fetch, None)
    if faults:
        data = _last_good(dataset, faults[0])  # it tells what is late
    found = None
    with _collected(faults):
        found = monitor(data)
    if found is not None and found.unlogged is not None:
        faults.append(ToolError(**found.unlogged.model_dump()))
    with _collected(faults):
        trials.judged(data)
    if found is not None:
        with _collected(faults):
            _tell(found, dataset_only(settings.load().root, dataset).today())
    if found is None or faults:
        faults[0].monitored = found  # type: ignore[attr-defined]
        raise faults[0]
    return found


def seen(fault: Exception) -> MonitoredRef | None:
    """What the run that failed with this had found all the same."""
    return getattr(fault, "monitored", None)


@contextmanager
def _collected(faults: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # raised in the end
        faults.append(error)


def _last_good(dataset: str, fault: Exception) -> DataRef:
    try:
        return anyway.last_good(dataset)
    except DaycastError:
        raise fault from None


def _tell(found: MonitoredRef, today: date) -> None:
    """Tell people, Prefect and the log what they have to be told of by now."""
    dataset, faults = found.dataset, list[Exception]()
    episodes_told = follow(found, today)
    if raised := alarms.raised(found.alarms, "forecasts"):  # after it is written down, for the retrain rule to find
        told = "; ".join(f"{one.name}: {one.cause}" for one in raised)
        emit_event(ALARM, resource={"prefect.resource.id": resource(dataset)}, payload={"reason": told})
    training = again.command(dataset) if episodes_told else ""
    for episode in episodes_told:
        notice = episodes.notice(dataset, episode, found.link, training)
        log(notice)
        get_run_logger().warning("%s\n%s", notice.title, notice.text())
        with _collected(faults):
            tell_people(notice, episode, today)
    if faults:
        raise faults[0]
