"""watch: which alarms the ledger and the newest observations raise, on a day or on each of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.config import Config
from daycast.config.monitoring import Monitoring
from daycast.core import alarms, arrivals, drift, parts, profile, usual
from daycast.core.alarms import Alarm, Chart
from daycast.core.events import NONE
from daycast.core.frame import Float, Panel
from daycast.core.layout import EVENT
from daycast.core.ledger import VERSION

CLASSES = ("day_of_week", "day_type")  # known columns that tell classes of days, where a dataset has them
PAST_YEARS, AROUND = 4, 5  # what errors are held against: so many earlier years, and timestamps around a day of them


@dataclass(frozen=True)
class Seen:
    """What is known for the alarms.

    Attributes:
        panel: observations.
        sums: the ledger's rows, of each cutoff those of the version that forecast it last.
        kind: code of each timestamp's event, ``(T,)``.
        usual: what the seasonal naive missed.
    """

    panel: Panel
    sums: pd.DataFrame
    kind: NDArray[np.int64]
    usual: usual.Missed


def seen(panel: Panel, sums: pd.DataFrame, rule: Monitoring, days: int = 1) -> Seen:
    """All that the alarms of the newest ``days`` timestamps are made of; older observations than that are left out."""
    season = panel.spec.season_length
    year = usual.year(panel.spec.freq, season)
    needed = max(PAST_YEARS, rule.drift.years + 1) * year + rule.chart_steps + days
    panel = panel.since(panel.ds[max(0, len(panel.ds) - needed)])
    horizon = int(sums["step"].max()) if len(sums) else 1
    return Seen(panel, sums, _events(panel), usual.missed(panel, season, horizon))


def alarms_of(of: Seen, config: Config, ages: Sequence[int]) -> dict[pd.Timestamp, tuple[Alarm, ...]]:
    """The alarms at the newest timestamps, each from what was known at it alone (but for the sizes of series that come
    and go, by which days of some are held against days of all).

    Charts are of the version that made the newest forecast: what a former champion missed is no longer its matter.

    Args:
        ages: of the observations in whole days, one for each of the newest timestamps that are asked for, ascending.
    """
    panel, rule = of.panel, config.monitoring
    at = np.arange(len(panel.ds) - len(ages), len(panel.ds))
    drifted = _drift(of, rule, at)
    came, most = _usual_age(of.sums, config), config.dataset.contract.max_age_days
    charts: dict[tuple[str, ...], pd.DataFrame] = {}
    out = {}
    for row, (age, moved) in enumerate(zip(ages, drifted, strict=True)):
        now = panel.ds[at[row]]
        version = _version(of.sums, now)
        if version is not None and version not in charts:
            charts[version] = _days(of, config, version)
        days = charts[version] if version is not None else _days(of, config, None)
        y = panel.y[:, max(0, at[row] + 1 - rule.stopped.silent - rule.stopped.memory) : at[row] + 1]
        out[now] = (
            *_of_forecasts(days[days["ds"] <= now].tail(rule.chart_steps), config),
            moved,
            alarms.late(age, most, came, rule.arrivals.excess),
            alarms.stopped(y, panel.ids, rule.stopped.silent, rule.stopped.memory, rule.stopped.share),
        )
    return out


def _of_forecasts(days: pd.DataFrame, config: Config) -> tuple[Alarm, ...]:
    rule, unit = config.monitoring, alarms.counted_in(config.dataset.freq)
    error, held = rule.error, rule.coverage
    return (
        alarms.error(days, Chart(error.reference, error.limit, error.most), unit),
        alarms.skill(days, config.dataset.season_length, rule.skill.windows, rule.skill.at_least, unit),
        alarms.coverage(days, Chart(held.reference, held.limit, 1.0), held.window, held.least, unit),
    )


def _version(sums: pd.DataFrame, now: pd.Timestamp) -> tuple[str, ...] | None:
    """The version of the newest cutoff before a timestamp that has rows which have matured by it."""
    known = sums[sums["ds"] <= now]
    if known.empty:
        return None
    newest = known.loc[known["cutoff"].idxmax()]
    return tuple(str(newest[name]) for name in VERSION)


def _days(of: Seen, config: Config, version: tuple[str, ...] | None) -> pd.DataFrame:
    own = of.sums.iloc[:0] if version is None else of.sums
    for name, value in zip(VERSION, version or (), strict=version is not None):
        own = own[own[name] == value]
    year = usual.year(config.dataset.freq, config.dataset.season_length)
    past = usual.Past(PAST_YEARS * year, year, AROUND)
    return usual.by_day(own, of.usual, of.kind, of.panel.ds, config.dataset.season_length, past)


def _drift(of: Seen, rule: Monitoring, at: NDArray[np.intp]) -> list[Alarm]:
    spec, own = of.panel.spec, rule.drift
    year = usual.year(spec.freq, spec.season_length)
    held = drift.Reference(own.window, own.years, own.around, year, own.least_spread)
    first = max(0, int(at[0]) - held.reach)
    normal, classes = of.kind[first:] == usual.ORDINARY, _classes(of.panel)[:, first:]
    found: list[tuple[Float, Float]] = []
    for some in parts.rows(len(of.panel.ids)):
        y = np.asarray(of.panel.y[some, first:], dtype=np.float64)
        found.append(drift.scores(y, normal, classes, at - first, held))
    shift, score = (np.concatenate([one[part] for one in found]) for part in (0, 1))
    return [
        alarms.drift(
            pd.DataFrame({"shift": shift[:, day], "score": score[:, day]}, index=list(of.panel.ids)),
            own.score,
            own.smallest,
            own.share,
        )
        for day in range(len(at))
    ]


def _usual_age(sums: pd.DataFrame, config: Config) -> int | None:
    made = pd.DatetimeIndex(sums["made_at"]).tz_convert(config.dataset.timezone).tz_localize(None)
    rule = config.monitoring.arrivals
    return arrivals.usual_age(made, pd.DatetimeIndex(sums["cutoff"]), rule.updates, rule.least)


def _events(panel: Panel) -> NDArray[np.int64]:
    """Code of each timestamp's event, ``usual.ORDINARY`` without one; a dataset without events has none."""
    found = panel.levels(EVENT)
    if found is None:
        return np.zeros(len(panel.ds), dtype=np.int64)
    codes, names = found
    return np.where(codes == names.index(NONE), usual.ORDINARY, codes + 1)


def _classes(panel: Panel) -> NDArray[np.int64]:
    """Classes of days as ``core.profile`` has them; places in the season where no column tells them."""
    by = [name for name in CLASSES if panel.levels(name) is not None]
    if by:
        return profile.classes(panel.levels, by, len(panel.ds))
    place = np.arange(len(panel.ds)) % panel.spec.season_length
    return np.stack([place, np.zeros_like(place)])
