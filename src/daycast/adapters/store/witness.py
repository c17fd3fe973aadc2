"""When forecasts were made and values were known, as one series tells: it is quickly read, however many there are."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, func, select

from daycast.adapters.store.tables import errors, forecasts


def witnessed(engine: Engine, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of a series of the newest forecasts, oldest first, all times in UTC.

    Returns:
        Its forecasts, ``cutoff, model, model_version, run_id, data_version, made_at``; and its values, ``ds``, the
        ``data_version`` that they are of, and ``judged_at``, when one was first judged by.
    """
    own, missed = forecasts.c, errors.c
    newest = select(own.unique_id).where(own.dataset == dataset).order_by(own.id.desc()).limit(1).scalar_subquery()
    of = (own.dataset == dataset, own.unique_id == newest)
    which = (own.cutoff, own.model, own.model_version, own.run_id, own.data_version)
    made = select(*which, func.min(own.made_at).label("made_at")).where(*of).group_by(*which).order_by(own.cutoff)
    value = (own.ds, missed.data_version)
    came = select(*value, func.min(missed.judged_at).label("judged_at")).join(errors, missed.forecast_id == own.id)
    came = came.where(*of).group_by(*value).order_by(own.ds)
    with engine.connect() as connection:
        rows, values = pd.read_sql(made, connection), pd.read_sql(came, connection)
    return (
        rows.assign(made_at=pd.to_datetime(rows["made_at"], utc=True), cutoff=pd.to_datetime(rows["cutoff"])),
        values.assign(judged_at=pd.to_datetime(values["judged_at"], utc=True), ds=pd.to_datetime(values["ds"])),
    )
