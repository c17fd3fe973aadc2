"""backfill: which past days can be forecast, each by a version that had seen nothing later."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Dataset
from daycast.core import history, parts
from daycast.errors import ConfigError, PromotionError
from daycast.settings import Settings
from daycast.steps.champion import horizon, moves, present
from daycast.steps.data import arrays
from daycast.steps.outcomes import Planned
from daycast.steps.promote import WON_THEN
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, when


def plan(settings: Settings, dataset: Dataset, data: DataRef, first: date, last: date) -> tuple[Planned, ...]:
    """The days from ``first`` to ``last`` with an observation of their own, oldest first.

    A day is forecast by the newest version that was champion, was not rolled back since, and had seen nothing after
    that day: neither its fit nor its choice nor its bands. So what is made now is what could have been made then, also
    by a version that was trained since, as of a day before.

    Raises:
        ConfigError: the range is empty.
        PromotionError: no version may forecast any of the days.
    """
    if first > last:
        raise ConfigError(f"a first day up to {last}", str(first), "give --from a day that is not after --to")
    panel = arrays(settings, dataset.spec(), data).panel
    observed = panel.ds[np.any([np.isfinite(panel.y[some]).any(axis=0) for some in parts.rows(len(panel.ids))], axis=0)]
    cutoffs = observed[(observed.normalize() >= pd.Timestamp(first)) & (observed.normalize() <= pd.Timestamp(last))]
    cutoffs = cutoffs[~cutoffs.normalize().duplicated(keep="last")]
    if not len(cutoffs):
        raise ConfigError(
            f"a range with observations of {dataset.name}, which has {observed[0].date()} .. {observed[-1].date()}",
            f"{first} .. {last}",
            "choose another range",
        )
    champions = _champions(settings, dataset.name)
    with store.opened(settings.store_url) as engine:
        # Of whatever version of the data: a day that was done stays done when newer days come in.
        there = store.made_forecasts(engine, dataset.name)
    out = []
    for cutoff in cutoffs:
        may = next((v for v, until in champions if until <= cutoff), None)
        made = 0 if may is None else there.get((cutoff, may.number, may.tags["daycast.run_id"]), 0)
        done = may is not None and made >= (horizon(may.tags) or 0)
        number = None if may is None else may.number
        out.append(Planned(as_of=str(cutoff.date()), cutoff=cutoff.isoformat(), version=number, done=done))
    if all(one.version is None for one in out):
        raise PromotionError(
            f"a version of {dataset.name} that was champion and had seen nothing after {cutoffs[-1].date()}",
            f"none of {len(champions)}"
            + (f", the earliest has seen data up to {champions[-1][1].date()}" if champions else ""),
            f"train one as of an earlier day: `daycast run dataset={dataset.name} --as-of {first}`",
        )
    return tuple(out)


def _champions(settings: Settings, dataset: str) -> list[tuple[registry.Version, pd.Timestamp]]:
    """Versions that were ever champion, or would have been on their day, the one that has seen the latest day first.

    Each with the last observation that it has seen.

    Versions from before that was written down may have seen anything, so they don't count.
    """
    found = registry.versions(settings.tracking_uri, registry.model_name(dataset))
    lines = present(moves(settings, dataset), found)
    promoted = {number for number in lines["to_version"] if not history.rolled_back(lines, number)}
    may = [v for v in found if v.number in promoted or WON_THEN in v.tags]
    able = [v for v in may if horizon(v.tags) is not None]  # else somebody edited its tags
    dated = [(v, until) for v in able if (until := when(v.tags, DATA_UNTIL)) is not None]
    return sorted(dated, key=lambda one: (one[1], int(one[0].number)), reverse=True)
