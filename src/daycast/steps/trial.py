"""A new champion on trial: its first forecasts, once their days have come, beside those of the champion before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time

import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Dataset
from daycast.core.alarms import WORST
from daycast.core.realised import matured
from daycast.core.retrain import Trial
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import arrays
from daycast.steps.reference import DataRef

KEYS = ["unique_id", "cutoff", "ds"]
Shadow = Callable[[registry.Version, pd.DatetimeIndex], pd.DataFrame]
"""What a version forecasts from cutoffs: ``unique_id, cutoff, ds, y_hat``, raw units."""


def trial(
    settings: Settings,
    dataset: Dataset,
    data: DataRef,
    since: date,
    both: tuple[registry.Version, registry.Version],
    shadow: Shadow | None = None,
) -> Trial | None:
    """How the champion has done from the cutoffs since its promotion; ``None`` where nothing has matured yet.

    What the champion before would have forecast is made up for now, from the data as they stood at each cutoff: the
    same as if it had forecast in its shadow every day.

    Args:
        data: as far as it may be seen today.
        since: day of the promotion.
        both: the champion, and the one before.
        shadow: makes these forecasts; ``None`` for here.
    """
    now, previous = both
    with store.opened(settings.store_url) as engine:
        made = store.read_forecasts(engine, dataset.name, now.number, datetime.combine(since, time.min))
    made = made[made["run_id"] == now.tags["daycast.run_id"]]  # numbers start anew in another registry
    if made.empty:
        return None
    made = made.sort_values("made_at").drop_duplicates(KEYS, keep="last")  # of other data, it may have been made twice
    rows = matured(made, arrays(settings, dataset.spec(), data).panel)
    if rows.empty:
        return None
    cutoffs = pd.DatetimeIndex(rows["cutoff"].unique()).sort_values()
    other = shadow(previous, cutoffs) if shadow else forecasts(settings, data, previous, cutoffs)
    both = rows.merge(other[[*KEYS, "y_hat"]].rename(columns={"y_hat": "other"}), on=KEYS)
    if both.empty:
        return None
    missed = pd.DataFrame({name: (both[name] - both["y"]).abs() for name in ("y_hat", "other", "naive")})
    more = (missed["y_hat"] - missed["other"]).groupby(both["unique_id"]).sum()
    worst = tuple(str(name) for name in more[more > 0].nlargest(WORST).index)
    errors = [float(missed[name].mean()) for name in ("y_hat", "other", "naive")]
    return Trial(since, both["ds"].dt.normalize().nunique(), *errors, worst)


def forecasts(settings: Settings, data: DataRef, version: registry.Version, cutoffs: pd.DatetimeIndex) -> pd.DataFrame:
    """A version's forecasts from past cutoffs, each from the data as they stood then."""
    loaded = registry.load(settings.tracking_uri, version.name, version.number)
    served = serving.of_version(loaded.folder)
    horizon = int(version.tags["daycast.horizon"])
    return serving.at(served, arrays(settings, served.spec, data), list(cutoffs), horizon)
