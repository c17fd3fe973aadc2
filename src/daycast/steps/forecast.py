"""Forecast from the newest data, with the champion or what stands in for it, and keep the rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from daycast.adapters import registry, report, store, versioning
from daycast.config import Dataset
from daycast.core.frame import Panel
from daycast.core.lineage import Lineage
from daycast.settings import Settings
from daycast.steps import chain
from daycast.steps.champion import CHAMPION
from daycast.steps.data import arrays
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import DataRef
from daycast.steps.shelf import shelf

SHOWN = 8  # seasons of history in the picture
PICTURED = 20  # series of which one is made, at most


def forecast(
    settings: Settings,
    dataset: Dataset,
    data: DataRef,
    as_of: date | None = None,
    horizon: int | None = None,
    version: str | None = None,
    late: str | None = None,
) -> ForecastRef:
    """Forecast rows after the last observation at or before ``as_of``, checked, stored once, and drawn.

    Of today, the first rank of ``steps.chain`` that can makes them; of a past day, or by a version that is named, that
    version alone or none.

    Args:
        as_of: last date whose data may be seen; ``None`` for all there is.
        horizon: steps ahead; ``None`` for what the version was judged on. Longer ones are iterated.
        version: number of the version that forecasts; ``None`` for the champion.
        late: why there are no newer data, where there should be; the days that have gone by are then forecast too, as
            far as the prepared calendar goes, so that the coming ones are.

    Raises:
        PromotionError: there is no champion, as of a past day.
        HistoryError: no observation by ``as_of``, or the prepared calendar ends before the horizon.
        ModelError: the version that was asked for, or not even the seasonal naive, can forecast.
    """
    if late is None and version is None and data.until(as_of).as_of is None:
        late = _behind(settings, dataset, data)
    asked = chain.Asked(dataset, data.until(as_of), horizon, late is not None)
    if version is None and asked.data.as_of is None:
        made = chain.by_first_that_can(settings, asked)
    else:
        made = chain.by_version(settings, asked, version or CHAMPION)
    cutoff = made.panel.cutoff
    reasons = made.reasons if late is None else (f"data: {late}{_ends_before(asked, made.rows)}", *made.reasons)
    rows = made.rows.assign(role=made.role, fallback_reason="\n".join(reasons) or None)
    lineage = Lineage(data.version, versioning.commit(settings.root), made.config_hash, made.run_id)
    by, served = (made.by.model, made.by.version), (made.role, "\n".join(reasons) or None)
    new = _kept(settings, data, rows, by, lineage, served)
    place = settings.state / "forecasts" / dataset.name
    folder = place / f"{cutoff.date()}-{made.role if made.role == chain.NAIVE else f'v{made.by.version}'}"
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "forecast.csv", index=False)
    steps = int(rows["step"].max())
    title = f"{dataset.title}: {steps} steps after {cutoff.date()} by {made.by.model}"
    report.next_horizon(_recent(made.panel), rows, title, dataset.unit, folder / "forecast.png")
    if made.loaded is not None and version is None:
        registry.keep(made.loaded, shelf(settings, dataset.name))
    return ForecastRef(
        dataset=dataset.name,
        cutoff=cutoff.isoformat(),
        horizon=steps,
        served_by=made.by,
        role=made.role,
        reasons=reasons,
        n_rows=len(rows),
        new_rows=new,
        rows=str(folder / "forecast.csv"),
        plot=str(folder / "forecast.png"),
    )


def _behind(settings: Settings, dataset: Dataset, data: DataRef) -> str | None:
    """What to say if the data end before those that a forecast was made from already, as a truncated file does.

    Forecasts from days that have not come were made from a faulty file: no data of theirs are missing.
    """
    newest = arrays(settings, dataset.spec(), data).panel.cutoff
    with store.opened(settings.store_url) as engine:
        before = store.newest_cutoff(engine, dataset.name, dataset.latest().to_pydatetime())
    if before is None or newest >= before:
        return None
    return f"they end on {newest.date()}, and those of an earlier forecast on {before.date()}"


def _ends_before(asked: chain.Asked, rows: pd.DataFrame) -> str:
    """What to add if not even today is forecast, as the data are too old."""
    end, today = rows["ds"].max(), pd.Timestamp(asked.dataset.today())
    return f"; the prepared calendar ends too early to forecast beyond {end.date()}" if end < today else ""


def keep(settings: Settings, data: DataRef, version: registry.Version, rows: pd.DataFrame) -> int:
    """Write a version's forecast rows to the store with their lineage, once; how many were new."""
    tags = version.tags
    lineage = Lineage(
        data.version, versioning.commit(settings.root), tags["daycast.config_hash"], tags["daycast.run_id"]
    )
    return _kept(settings, data, rows, (tags["daycast.model"], version.number), lineage, (CHAMPION, None))


def _kept(
    settings: Settings,
    data: DataRef,
    rows: pd.DataFrame,
    by: tuple[str, str],
    lineage: Lineage,
    served: tuple[str, str | None],
) -> int:
    with store.opened(settings.store_url) as engine:
        store.keep_data(engine, data.dataset, data.version, data.pointers)
        return store.write_forecasts(engine, data.dataset, rows, by, lineage, served)


def _recent(panel: Panel) -> pd.DataFrame:
    """Rows ``unique_id, ds, y`` of the newest timestamps, of as many series as a picture may show."""
    steps = SHOWN * panel.spec.season_length
    ids, y = panel.ids[:PICTURED], panel.y[:PICTURED, -steps:]
    columns = {"unique_id": np.repeat(ids, y.shape[1]), "ds": np.tile(panel.ds[-steps:], len(ids)), "y": y.ravel()}
    return pd.DataFrame(columns)


def require_champion(settings: Settings, dataset: str) -> None:
    """Raise ``PromotionError`` if there is none, before anything is fetched for it."""
    registry.required(settings.tracking_uri, registry.model_name(dataset), "champion")
