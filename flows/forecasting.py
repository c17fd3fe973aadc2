"""The daily job: the newest data, and the forecast from it, by the champion or by what stands in for it."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import State, flow

from daycast.steps.outcomes import ForecastRef
from flows import anyway, newest, tasks


@flow(name="forecasting", flow_run_name="forecasting {dataset}")
def forecasting(
    dataset: str, as_of: date | None = None, horizon: int | None = None, fetch: bool = True
) -> ForecastRef | State[Any]:
    """Fetch, validate, prepare and forecast; the same data and champion give the same rows, once.

    Without new data the last good ones serve, without the champion the next rank of ``steps.chain``, and people are
    told so. As of a past day, which nobody waits for, it is the champion on sound data or nothing.

    Args:
        dataset: its name, as in ``conf/dataset``.
        as_of: last date whose data may be seen; ``None`` for all there is.
        horizon: steps ahead; ``None`` for what the champion was judged on.
        fetch: whether to ask the source for newer data where some is there already.
    """
    if (superseded := newest.superseded()) is not None:
        return superseded
    if as_of is None:
        data, late = anyway.newest(dataset, fetch)
        return anyway.forecast(data, horizon, late)
    tasks.require_champion(dataset)
    return tasks.forecast(tasks.prepared(dataset, fetch, as_of), as_of, horizon)
