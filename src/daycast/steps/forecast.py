"""Forecast with the champion from the newest data, and keep the rows."""

from __future__ import annotations

from datetime import date

import pandas as pd

from daycast.adapters import registry, report, store, versioning
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core.lineage import Lineage
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import seen
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import DataRef, VersionRef

SHOWN = 8  # seasons of history in the picture


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
    canonical = seen(settings, data.until(as_of), dataset.spec())
    cutoff = pd.Timestamp(canonical.loc[canonical["y"].notna(), "ds"].max())
    inputs = serving.inputs(canonical, dataset.spec(), cutoff, steps)
    made = champion.model.predict(inputs, params={"horizon": steps})
    rows = core.check(made, inputs["unique_id"].nunique() * steps, dataset.floor)
    name = tags["daycast.model"]
    made_by = VersionRef(name=champion.version.name, version=champion.version.number, model=name)
    lineage = Lineage(
        data.version, versioning.commit(settings.root), tags["daycast.config_hash"], tags["daycast.run_id"]
    )
    with store.opened(settings.store_url) as engine:
        new = store.write_forecasts(engine, dataset.name, rows, (name, made_by.version), lineage)
    folder = settings.state / "forecasts" / dataset.name / f"{cutoff.date()}-v{made_by.version}"
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "forecast.csv", index=False)
    shown = SHOWN * dataset.season_length * pd.tseries.frequencies.to_offset(dataset.freq)
    recent = inputs[(inputs["ds"] > cutoff - shown) & (inputs["ds"] <= cutoff)]
    title = f"{dataset.title}: {steps} steps after {cutoff.date()} by {name}"
    report.next_horizon(recent, rows, title, dataset.unit, folder / "forecast.png")
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


def require_champion(settings: Settings, dataset: str) -> None:
    """Raise ``PromotionError`` if there is none, before anything is fetched for it."""
    registry.required(settings.tracking_uri, registry.model_name(dataset), "champion")
