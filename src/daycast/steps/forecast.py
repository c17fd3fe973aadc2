"""Forecast with the champion from the newest data, and keep the rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from daycast.adapters import registry, report, store, versioning
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core.frame import Panel
from daycast.core.lineage import Lineage
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import arrays
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import DataRef, VersionRef

SHOWN = 8  # seasons of history in the picture
PICTURED = 20  # series of which one is made, at most


def forecast(
    settings: Settings,
    dataset: Dataset,
    data: DataRef,
    as_of: date | None = None,
    horizon: int | None = None,
    version: str | None = None,
) -> ForecastRef:
    """Forecast rows after the last observation at or before ``as_of``, checked, stored once, and drawn.

    Args:
        as_of: last date whose data may be seen; ``None`` for all there is.
        horizon: steps ahead; ``None`` for what the champion was judged on. Longer ones are iterated.
        version: number of the version that forecasts; ``None`` for the champion.

    Raises:
        PromotionError: there is no champion.
        HistoryError: no observation by ``as_of``, or the prepared calendar ends before the horizon.
        OutputError: the forecast breaks its contract; nothing is stored.
    """
    champion = registry.load(settings.tracking_uri, registry.model_name(dataset.name), version or "champion")
    tags = champion.version.tags
    steps = int(tags["daycast.horizon"]) if horizon is None else horizon
    served = serving.of_version(champion.folder)
    known = arrays(settings, served.spec, data.until(as_of))
    panel, cutoff = known.panel, known.panel.cutoff
    rows = core.check(serving.from_table(served, known, steps), len(panel.ids) * steps, dataset.floor)
    name = tags["daycast.model"]
    made_by = VersionRef(name=champion.version.name, version=champion.version.number, model=name)
    new = keep(settings, data, champion.version, rows)
    folder = settings.state / "forecasts" / dataset.name / f"{cutoff.date()}-v{made_by.version}"
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "forecast.csv", index=False)
    title = f"{dataset.title}: {steps} steps after {cutoff.date()} by {name}"
    report.next_horizon(_recent(panel), rows, title, dataset.unit, folder / "forecast.png")
    return ForecastRef(
        dataset=dataset.name,
        cutoff=cutoff.isoformat(),
        horizon=steps,
        champion=made_by,
        n_rows=len(rows),
        new_rows=new,
        rows=str(folder / "forecast.csv"),
        plot=str(folder / "forecast.png"),
    )


def keep(settings: Settings, data: DataRef, version: registry.Version, rows: pd.DataFrame) -> int:
    """Write a version's forecast rows to the store with their lineage, once; how many were new."""
    tags = version.tags
    lineage = Lineage(
        data.version, versioning.commit(settings.root), tags["daycast.config_hash"], tags["daycast.run_id"]
    )
    with store.opened(settings.store_url) as engine:
        return store.write_forecasts(engine, data.dataset, rows, (tags["daycast.model"], version.number), lineage)


def _recent(panel: Panel) -> pd.DataFrame:
    """Rows ``unique_id, ds, y`` of the newest timestamps, of as many series as a picture may show."""
    steps = SHOWN * panel.spec.season_length
    ids, y = panel.ids[:PICTURED], panel.y[:PICTURED, -steps:]
    columns = {"unique_id": np.repeat(ids, y.shape[1]), "ds": np.tile(panel.ds[-steps:], len(ids)), "y": y.ravel()}
    return pd.DataFrame(columns)


def require_champion(settings: Settings, dataset: str) -> None:
    """Raise ``PromotionError`` if there is none, before anything is fetched for it."""
    registry.required(settings.tracking_uri, registry.model_name(dataset), "champion")
