"""Forecasts of past days, each from what was known then; explicit, bounded, and taken up where it stopped."""

from __future__ import annotations

from datetime import date

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from daycast import settings
from daycast.config import dataset_only
from daycast.steps import backfill as backfill_step
from daycast.steps import forecast as forecast_step
from daycast.steps.data import in_force
from daycast.steps.outcomes import BackfilledRef, ForecastRef, Planned
from daycast.steps.reference import DataRef
from flows import tasks


@task(task_run_name="forecast {data.dataset} as of {planned.as_of}", timeout_seconds=tasks.LONG, **tasks.RETRIED)
def forecast(data: DataRef, planned: Planned) -> ForecastRef:
    here, day = settings.load(), date.fromisoformat(planned.as_of)
    with tasks.shown("forecast", f"{data.dataset} as of {planned.as_of}"):
        return forecast_step.forecast(here, dataset_only(here.root, data.dataset), data, day, version=planned.version)


@flow(name="backfill", flow_run_name="backfill {dataset} {first}..{last}")
def backfill(dataset: str, first: date, last: date, max_parallel: int = 2, as_of: date | None = None) -> BackfilledRef:
    """Forecast from every day of a range that has no forecast yet, by the version that could have done so then.

    Nothing is fetched: the data in force are cut off at each day. What is in the store is not made again, so a run that
    was interrupted goes on with what is left.

    Args:
        dataset: its name, as in ``conf/dataset``.
        first, last: of the days to forecast from, both inclusive.
        max_parallel: forecasts at once.
        as_of: last date whose data may be seen; days after it are left out. ``None`` for all there is.
    """
    here = settings.load()
    data = in_force(here, dataset)
    last = min(last, as_of) if as_of else last
    planned = backfill_step.plan(here, dataset_only(here.root, dataset), data, first, last)
    missing = [one for one in planned if one.version is not None and not one.done]
    made: list[ForecastRef] = []
    with ThreadPoolTaskRunner(max_workers=max_parallel) as runner:
        made = tasks.results([runner.submit(forecast, {"data": data, "planned": one}) for one in missing])
    return BackfilledRef(
        dataset=dataset,
        n_days=len(planned),
        n_made=len(made),
        n_done_before=sum(one.done for one in planned),
        impossible=tuple(one.as_of for one in planned if one.version is None),
        new_rows=sum(one.new_rows for one in made),
    )
