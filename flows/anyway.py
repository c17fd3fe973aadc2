"""A forecast anyway: from the last good data where no newer ones come, by whoever still can, and people are told."""

from __future__ import annotations

from prefect import get_run_logger, task

from daycast import settings
from daycast.adapters import registry
from daycast.adapters.notices import Notice, tell
from daycast.errors import ConfigError, DataError, DaycastError
from daycast.steps import prepare as prepare_step
from daycast.steps.chain import NO_VERSION
from daycast.steps.data import in_force
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import DataRef
from flows import tasks, turns


def newest(dataset: str, fetch: bool) -> tuple[DataRef, str | None]:
    """The newest good data, and in a line why there are no newer ones, or ``None``.

    Raises:
        ConfigError: no such dataset, or its configuration is wrong.
        What hindered them, if there are no good data at all.
    """
    try:
        return tasks.prepared(dataset, fetch, None), None
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the data of yesterday are still there
        try:
            data = last_good(dataset)
        except DataError:
            raise error from None
        said = error.found if isinstance(error, DaycastError) else str(error)
        return data, f"{type(error).__name__}: {' '.join(said.split())}"


@task(task_run_name="find the last good data of {dataset}", timeout_seconds=tasks.LONG)
def last_good(dataset: str) -> DataRef:
    """The batch in force, which is sound if a newer one was rejected or is too old; as it was prepared before, else.

    Raises:
        DataError: there never was one.
    """
    here = settings.load()
    try:
        with turns.taken(dataset):
            return prepare_step.prepare(here, dataset)
    except DaycastError:
        return in_force(here, dataset)


def forecast(data: DataRef, horizon: int | None = None, late: str | None = None) -> ForecastRef:
    """The forecast of today; people are told if it is not the champion's from the newest data."""
    made = tasks.forecast(data, horizon=horizon, late=late)
    if made.reasons:
        told = notice(made)
        get_run_logger().warning("%s\n%s", told.title, told.text())
        tell_people(told)
    return made


@task(task_run_name="tell of {told.title}", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def tell_people(told: Notice) -> int:
    return tell(told)


def notice(made: ForecastRef) -> Notice:
    """What to tell of a forecast that is not what it should be."""
    by = f"{made.role.replace('_', ' ')} ({made.served_by.model}, version {made.served_by.version})"
    title = f"daycast: {made.dataset} is forecast by its {by} from data up to {made.cutoff[:10]}"
    by_one = None if made.served_by.version == NO_VERSION else made.served_by.version
    link = registry.link(settings.load().tracking_uri, made.served_by.name, by_one)
    every = (f"all {made.n_rows // made.horizon} that are forecast",)
    rejected = made.reasons[0].startswith("data: ")
    command = f"daycast ingest dataset={made.dataset}" if rejected else f"daycast history dataset={made.dataset}"
    return Notice(title, "\n".join(made.reasons), link, command, every)
