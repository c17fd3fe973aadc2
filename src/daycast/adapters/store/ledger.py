"""What forecasts missed by: an error for each row once its value has come, and the ledger, its sums over series.

An error is written once. Only where the source revised a value are ``y`` and what follows from it brought up to date;
``first_y`` then keeps what the row was judged by first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from daycast.adapters.store.locking import lock
from daycast.adapters.store.rows import AT_ONCE, INSERTS
from daycast.adapters.store.tables import errors, forecasts, ledger, ledger_marks

Judge = Callable[[pd.DataFrame], pd.DataFrame]
FRESH = timedelta(days=1)  # writers that began before this have committed
LEVELS = ("0.025", "0.1", "0.9", "0.975")
FIGURES = ("y", "naive", "error", "inside_80", "inside_95")


def judge(
    engine: Engine, dataset: str, until: pd.Timestamp, late: timedelta, data_version: str, judged: Judge
) -> tuple[int, int]:
    """Give forecast rows without an error theirs, and bring the ledger up to date; who comes second waits.

    Looked at are rows of the newest days, whose values may come or change late, and rows that are new since last time:
    not all of history. Each target day is done as a whole or not at all, so that a kill loses a day's work at most.

    Args:
        until: newest observation.
        late: how long after its day a value may come, or be revised.
        judged: given rows ``forecast_id, unique_id, ds, step, y_hat`` and a column per level of ``LEVELS``, returns
            those whose value has come, with ``FIGURES``.

    Returns:
        How many rows were judged, and how many judged anew as their values were revised.
    """
    with engine.connect() as connection:
        mark = connection.execute(select(ledger_marks).where(ledger_marks.c.dataset == dataset)).one_or_none()
        settled = select(forecasts.c.id).where(forecasts.c.made_at < datetime.now(UTC) - FRESH)
        newest = connection.execute(settled.order_by(forecasts.c.id.desc()).limit(1)).scalar_one_or_none() or 0
        since = None if mark is None else min(mark.until, until.to_pydatetime()) - late
        waiting = _waiting(dataset, until)
        if mark is not None:
            waiting = waiting.where(or_(forecasts.c.ds > since, forecasts.c.id > mark.forecast_id))
        days = connection.execute(waiting.with_only_columns(forecasts.c.ds).distinct()).scalars().all()
    recent = until.to_pydatetime() - late
    counts = [
        _day(engine, dataset, day, data_version, judged) for day in sorted({*days, *_judged(engine, dataset, recent)})
    ]
    if mark is None or until.to_pydatetime() >= mark.until:
        values = {"dataset": dataset, "until": until.to_pydatetime(), "forecast_id": newest}
        statement = INSERTS[engine.dialect.name](ledger_marks).values(values)
        with engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["dataset"], set_=values))
    return sum(new for new, _ in counts), sum(revised for _, revised in counts)


def read_ledger(engine: Engine, dataset: str, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """The ledger's rows, of target days from ``since`` on, oldest first; ``made_at`` in UTC."""
    query = select(ledger).where(ledger.c.dataset == dataset).order_by(ledger.c.cutoff, ledger.c.ds)
    if since is not None:
        query = query.where(ledger.c.ds >= since.to_pydatetime())
    rows = pd.read_sql(query, engine)
    return rows.assign(made_at=pd.to_datetime(rows["made_at"], utc=True))


def worst_series(
    engine: Engine,
    dataset: str,
    version: tuple[str, str],
    days: tuple[pd.Timestamp, pd.Timestamp],
    most: int,
) -> pd.DataFrame:
    """The series that a version has missed by most on the target days, as a share of what came, so that the largest are
    not always the worst: ``unique_id, mae`` (raw units) and ``share``, worst first.

    Args:
        version: its number, and the run that made it.
    """
    own, mae = forecasts.c, func.avg(func.abs(errors.c.error))
    share = mae / func.nullif(func.avg(func.abs(errors.c.y)), 0)
    query = (
        select(own.unique_id, mae.label("mae"), share.label("share"))
        .join(errors, errors.c.forecast_id == own.id)
        .where(own.dataset == dataset, own.ds.between(days[0].to_pydatetime(), days[1].to_pydatetime()))
        .where(own.model_version == version[0], own.run_id == version[1])
        .group_by(own.unique_id)
        .order_by(func.coalesce(share, mae).desc())
        .limit(most)
    )
    return pd.read_sql(query, engine)


def _rows(dataset: str, *more: Column[Any]) -> Select[Any]:
    own = forecasts.c
    asked = [own.id.label("forecast_id"), own.unique_id, own.ds, own.step, own.y_hat]
    return select(*asked, *more).where(own.dataset == dataset)


def _waiting(dataset: str, until: pd.Timestamp) -> Select[Any]:
    query = _rows(dataset, forecasts.c.quantiles).outerjoin(errors, errors.c.forecast_id == forecasts.c.id)
    return query.where(errors.c.forecast_id.is_(None), forecasts.c.ds <= until.to_pydatetime())


def _judged(engine: Engine, dataset: str, since: datetime) -> Sequence[datetime]:
    """Days after ``since`` of which the ledger tells."""
    query = select(ledger.c.ds).where(ledger.c.dataset == dataset, ledger.c.ds > since).distinct()
    with engine.connect() as connection:
        return connection.execute(query).scalars().all()


def _day(engine: Engine, dataset: str, day: datetime, data_version: str, judged: Judge) -> tuple[int, int]:
    """Judge the forecasts of a target day in one transaction; how many, and how many anew."""
    own = (forecasts.c.dataset == dataset, forecasts.c.ds == day)
    new = revised = 0
    with engine.connect() as connection:
        lock(connection, f"daycast ledger of {dataset}")
        for rows in _blocks(connection, _waiting(dataset, pd.Timestamp(day)).where(*own)):
            new += _write(connection, judged(rows), data_version)
        there = select(errors.c.forecast_id).where(errors.c.forecast_id == forecasts.c.id).exists()
        step = select(func.min(forecasts.c.step)).where(*own).scalar_subquery()
        shortest = _rows(dataset, errors.c.y).join(errors, errors.c.forecast_id == forecasts.c.id)
        for rows in _blocks(connection, shortest.where(*own, forecasts.c.step == step)):
            now = judged(rows.drop(columns="y"))
            before = rows.set_index("forecast_id")["y"]
            off = now[now["y"].to_numpy() != before.loc[now["forecast_id"]].to_numpy()]
            for series in off["unique_id"].unique():
                whole = _rows(dataset, forecasts.c.quantiles).where(*own, there, forecasts.c.unique_id == series)
                for some in _blocks(connection, whole):
                    revised += _revise(connection, judged(some), data_version)
        if new or revised:
            _sum(connection, dataset, day)
        connection.commit()
    return new, revised


def _blocks(connection: Connection, query: Select[Any]) -> Iterator[pd.DataFrame]:
    """Rows of a query, a block at a time, the quantiles of ``LEVELS`` as columns, NaN where none are asked for.

    Each block is a query of its own, after the last id: SQLite does not like writes while it reads.
    """
    last = -1
    while True:
        page = query.where(forecasts.c.id > last).order_by(forecasts.c.id).limit(AT_ONCE)
        rows = pd.read_sql(page, connection, parse_dates=["ds"])
        if rows.empty:
            return
        last = int(rows["forecast_id"].iloc[-1])
        told: list[dict[str, float]] = list(rows.pop("quantiles")) if "quantiles" in rows else [{}] * len(rows)
        yield rows.assign(**{level: [float(one.get(level, "nan")) for one in told] for level in LEVELS})
        if len(rows) < AT_ONCE:
            return


def _write(connection: Connection, found: pd.DataFrame, data_version: str) -> int:
    if found.empty:
        return 0
    common = {"data_version": data_version, "judged_at": datetime.now(UTC)}
    records = [{"forecast_id": number, **values, **common} for number, values in _values(found)]
    connection.execute(insert(errors), records)
    return len(records)


def _revise(connection: Connection, found: pd.DataFrame, data_version: str) -> int:
    now = datetime.now(UTC)
    statement = update(errors).where(errors.c.forecast_id == bindparam("of"))
    statement = statement.values(
        **{name: bindparam(f"new_{name}") for name in FIGURES},
        first_y=func.coalesce(errors.c.first_y, errors.c.y),
        data_version=data_version,
        revised_at=now,
    )
    records = [{"of": number, **{f"new_{k}": v for k, v in values.items()}} for number, values in _values(found)]
    connection.execute(statement, records)
    return len(records)


def _values(found: pd.DataFrame) -> Iterator[tuple[int, dict[str, float | int | None]]]:
    """Of each row its forecast's number and its ``FIGURES``, nothing for NaN."""
    whole = ("inside_80", "inside_95")
    for number, *told in found[["forecast_id", *FIGURES]].itertuples(index=False):
        yield (
            int(number),
            {
                name: None if value != value else int(value) if name in whole else float(value)
                for name, value in zip(FIGURES, told, strict=True)
            },
        )


def _sum(connection: Connection, dataset: str, day: datetime) -> None:
    """Make the ledger's rows of a target day again; of a forecast made more than once, the last one counts."""
    one = (forecasts.c.unique_id, forecasts.c.cutoff, forecasts.c.model_version, forecasts.c.run_id)
    own = and_(forecasts.c.dataset == dataset, forecasts.c.ds == day)
    place = func.row_number().over(partition_by=one, order_by=(forecasts.c.made_at.desc(), forecasts.c.id.desc()))
    made = select(forecasts, place.label("place")).where(own).subquery()
    by = (made.c.dataset, made.c.cutoff, made.c.ds, made.c.model, made.c.model_version, made.c.run_id, made.c.step)
    missed, beside = func.abs(errors.c.error), errors.c.naive.is_not(None)
    sums = [
        func.count(),
        func.sum(missed),
        func.sum(errors.c.error),
        func.count(errors.c.naive),
        func.sum(case((beside, missed), else_=0.0)),
        func.sum(case((beside, func.abs(errors.c.naive - errors.c.y)), else_=0.0)),
        func.count(errors.c.inside_80),
        func.coalesce(func.sum(errors.c.inside_80), 0),
        func.count(errors.c.inside_95),
        func.coalesce(func.sum(errors.c.inside_95), 0),
        func.max(made.c.made_at),
    ]
    query = select(*by, *sums).join(errors, errors.c.forecast_id == made.c.id).where(made.c.place == 1)
    connection.execute(delete(ledger).where(ledger.c.dataset == dataset, ledger.c.ds == day))
    names = [column.name for column in ledger.columns]
    connection.execute(insert(ledger).from_select(names, query.group_by(*by)))
