"""The daily job: the newest data, and the champion's forecast from it."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import State, flow

from daycast.steps.outcomes import ForecastRef
from flows import newest, tasks


@flow(name="forecasting", flow_run_name="forecasting {dataset}")
def forecasting(
    dataset: str, as_of: date | None = None, horizon: int | None = None, fetch: bool = True
) -> ForecastRef | State[Any]:
    """Fetch, validate, prepare and forecast; the same data and champion give the same rows, once.

    Args:
        dataset: its name, as in ``conf/dataset``.
        as_of: last date whose data may be seen; ``None`` for all there is.
        horizon: steps ahead; ``None`` for what the champion was judged on.
        fetch: whether to ask the source for newer data where some is there already.
    """
    if (superseded := newest.superseded()) is not None:
        return superseded
    tasks.require_champion(dataset)
    return tasks.forecast(tasks.prepared(dataset, fetch, as_of), as_of, horizon)
