"""Versions scored anew: at recent origins that none was fitted on, as the daily forecast makes its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from daycast import models
from daycast.adapters import registry, tracking
from daycast.config import Config
from daycast.core import backtest, gate, metrics, split, until
from daycast.core import forecast as core
from daycast.core.frame import Table
from daycast.core.gate import Check
from daycast.core.significance import FEWEST
from daycast.core.split import Fold
from daycast.errors import HistoryError, unanswered
from daycast.settings import Settings
from daycast.steps import forecaster, serving
from daycast.steps.blend import members
from daycast.steps.champion import MODEL
from daycast.steps.compare import baselines
from daycast.steps.data import arrays, table
from daycast.steps.progress import emit
from daycast.steps.record import hurried, tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, SCORED_FROM, when
from daycast.steps.shelf import failing, of_champion
from daycast.steps.split import split as laid_out

OWN = "the challenger"
COLUMNS = ["unique_id", "cutoff", "ds", "step", "y_hat"]
SEED = 0  # of the series that are drawn
NOTHING = 1e-6  # of the mean of all series: a smaller one has no size of its own
REFITTED = 3  # newest origins at which a model that was fitted again is compared
NAMED = 3  # series that a reason names


@dataclass(frozen=True)
class Asked:
    """What is judged: ``run_id`` the run whose winner the challenger is, ``champion`` ``None`` where there is none."""

    run_id: str
    challenger: registry.Version
    champion: registry.Version | None


def scored(
    settings: Settings, config: Config, data: DataRef, asked: Asked, into: dict[str, pd.DataFrame]
) -> list[Check]:
    """Score all at the newest origins that neither version was fitted on, and say how many there are."""
    wanted = config.promotion.champion
    assert wanted is not None
    whole, horizon = table(settings, config, data), config.backtest.horizon
    out, champion = _standing(settings, config, data, asked)
    if not all(check.passed for check in out):
        return out
    own, its = _seen(asked.challenger), None if champion is None else _seen(champion)
    if own is None:
        return [*out, Check("what it was fitted on", False, None, None, "it does not say: its tags were edited")]
    since = own if its is None else max(own, its)
    # Chance can be told from a lead over stretches that don't overlap alone.
    stretches = FEWEST * math.ceil(horizon / wanted.step_size) if wanted.significance is not None else 0
    most, least = max(wanted.origins, stretches), max(wanted.least_origins, stretches)
    ended = whole.panel.ds[: max(0, len(whole.panel.ds) - horizon)]
    cutoffs = ended[::-1][:: wanted.step_size][:most][::-1]
    cutoffs = cutoffs[cutoffs >= since]
    if not len(cutoffs):
        return [*out, Check("recent origins", False, 0.0, float(least), f"none since {since.date()}; {least} needed")]
    fold, ids = Fold("gate", None, cutoffs[0], cutoffs, horizon), _drawn(whole.panel.ids, wanted.series)
    few = replace(whole, panel=whole.panel.only(ids))
    made = {name: _naive(config, name, few, fold) for name in sorted(baselines(config))}
    made[OWN] = _served(settings, config, data, _loaded(settings, asked.challenger), (fold, ids))
    out.append(Check("output contract", True, None, None, "kept at every origin"))
    if champion is not None:
        try:
            files = of_champion(settings, data.dataset, champion)
            made[named(champion)] = _served(settings, config, data, files, (fold, ids))
        except Exception as error:  # whatever it is, it must not let a model through
            if unanswered(error):
                raise
            told = f"today, but not at every recent origin: {type(error).__name__}: {error}"
            out.append(Check("the champion forecasts", False, None, None, told))
    # Of all series, also where the run's backtest counted some: it is all that the version would forecast.
    rows = gate.same_rows({n: backtest.with_actuals(r, few) for n, r in made.items()})
    into.update(rows)
    count = rows[OWN]["cutoff"].nunique()
    told = f"{count} since {since.date()}, the end of the later fit; {least} needed{judged_by(rows[OWN], ids)}"
    if not count:
        into.clear()
    return [*out, Check("recent origins", count >= least, float(count), float(least), told)]


def _standing(
    settings: Settings, config: Config, data: DataRef, asked: Asked
) -> tuple[list[Check], registry.Version | None]:
    """The champion, if it forecasts and so is one to beat, and what has to be said of it."""
    champion = asked.champion
    if champion is None:
        return [], None
    why = failing(settings, config.dataset, champion, data)
    if why is not None:
        told = f"not any more, so it is nothing to beat: {why}"
        return [Check("the champion forecasts", True, None, None, told)], None
    if _seen(champion) is not None:
        return [], champion
    told = (
        f"version {champion.number} does not say: it has no date in the tags {SCORED_FROM} and {DATA_UNTIL}, so "
        "that it can't be compared at days that it has not seen; go back to another champion, or put this one there by "
        f"hand: `daycast rollback dataset={data.dataset}`, `daycast promote dataset={data.dataset} --version "
        f"{asked.challenger.number} --force --reason TEXT`"
    )
    return [Check("what the champion was fitted on", False, None, None, told)], champion


def _seen(version: registry.Version) -> pd.Timestamp | None:
    """Until when a version may have seen the data; ``None`` if it does not say."""
    scored = when(version.tags, SCORED_FROM)
    return when(version.tags, DATA_UNTIL) if scored is None else scored


def judged_by(rows: pd.DataFrame, ids: tuple[str, ...]) -> str:
    """Of a panel, how many series count; few of those that don't, by name."""
    left = sorted({*ids} - {*rows["unique_id"]})
    if len(ids) < 2:
        return ""
    some = ", ".join(left[:NAMED]) + (", …" if len(left) > NAMED else "")
    told = f"; by {len(ids) - len(left):,} of {len(ids):,} series"
    return told + (f", as {len(left):,} began too late or ended: {some}" if left else "")


def _drawn(ids: tuple[str, ...], most: int) -> tuple[str, ...]:
    if len(ids) <= most:
        return ids
    return tuple(ids[i] for i in sorted(np.random.default_rng(SEED).choice(len(ids), most, replace=False)))


def named(version: registry.Version) -> str:
    return f"version {version.number}"


def refitted(settings: Settings, config: Config, data: DataRef, asked: Asked, rows: pd.DataFrame) -> list[Check]:
    """Whether the model comes out the same where the days that it is judged by are not there when it is fitted.

    One that has learned from them, by whatever way, does not.
    """
    allowed = config.promotion.champion.refit if config.promotion.champion else None
    assert allowed is not None
    fold = laid_out(settings, config, data).test.fold()
    whole = table(settings, config, data)
    cut = replace(whole, panel=whole.panel.until(fold.fit_cutoff))  # with all series: a network may know them by number
    again = serving.of_version(_loaded(settings, asked.challenger).folder).forecaster
    emit("promote", "fit again", 0, 0, f"on data up to {fold.fit_cutoff.date()} alone")
    fitted = again.fit(split.history(cut, fold))
    newest = rows["cutoff"].drop_duplicates().sort_values().tail(REFITTED)
    part = Fold("gate", None, newest.iloc[0], pd.DatetimeIndex(newest), fold.horizon)
    made = backtest.forecasts(again, whole, part)
    keys = ["unique_id", "cutoff", "ds"]
    both = rows[rows["cutoff"].isin(newest)].merge(made, on=keys, how="left", suffixes=("", "_again"))
    off, worst = farthest(both)
    told = (
        f"fitted without the days it is judged by, it is off by {100 * off:.3g} % of a series' mean at most ({worst}), "
        f"{100 * allowed:g} % allowed"
    )
    if off > allowed:
        told += _cut_short(settings, config, asked, bool(fitted.facts.get("over_budget")))
    value = off if math.isfinite(off) else None  # JSON has no other
    return [Check("fitted on what it says", bool(off <= allowed), value, allowed, told)]


def _cut_short(settings: Settings, config: Config, asked: Asked, now: bool) -> str:
    """What else than the future makes two fits differ: a time budget that one of them went over."""
    name = asked.challenger.tags[MODEL]
    parts = {name, *members(config, name)}
    late = hurried([run for run in tracking.children(tracker(settings), asked.run_id) if run.name in parts])
    if now:
        late = f"{name} went over its time budget in being fitted again"
    return f"; but {late}: train with a larger `budget_s`, or when the machine is less busy" if late else ""


def farthest(both: pd.DataFrame) -> tuple[float, str]:
    """How far two fits are apart where they are farthest, as a fraction of that series' mean forecast; and its series.

    Args:
        both: ``unique_id, y_hat, y_hat_again``, raw units. NaN, a forecast that one of them has not, is farthest.
    """
    size = both["y_hat"].abs()
    own = size.groupby(both["unique_id"]).transform("mean")
    # Rounding is many times the mean of a series that is next to nothing, such as a closed one.
    own = own.clip(lower=NOTHING * size.mean())
    apart = (both["y_hat"] - both["y_hat_again"]).abs()
    off = (apart / own).where(apart != 0, 0.0).fillna(math.inf)
    return float(off.max()), str(both.loc[off.idxmax(), "unique_id"])


def _loaded(settings: Settings, version: registry.Version) -> registry.Loaded:
    return registry.load(settings.tracking_uri, version.name, version.number)


def _served(
    settings: Settings,
    config: Config,
    data: DataRef,
    loaded: registry.Loaded,
    where: tuple[Fold, tuple[str, ...]],
) -> pd.DataFrame:
    """The version's forecasts of some series at each origin, each from the data as they stood then."""
    (fold, ids), served = where, serving.of_version(loaded.folder)
    whole, made = arrays(settings, served.spec, data), []
    if served.forecaster.takes_new_series:  # and so needs not have all
        whole = replace(whole, panel=whole.panel.only(ids))
    for i, cutoff in enumerate(fold.cutoffs):
        emit("promote", named(loaded.version), i, len(fold.cutoffs), f"origin {cutoff.date()}")
        then = until.upto(whole, cutoff)
        new = len(then.panel.ids) < len(whole.panel.ids) and not served.forecaster.takes_new_series
        if new or then.panel.cutoff != cutoff:  # before all series had begun, or nothing was observed then
            continue
        rows = serving.from_table(served, then, fold.horizon)
        rows = core.check(rows, len(then.panel.ids) * fold.horizon, config.dataset.floor)
        made.append(rows.loc[rows["unique_id"].isin(ids), [*COLUMNS, *core.quantile_columns(rows)]])
    emit("promote", named(loaded.version), len(fold.cutoffs), len(fold.cutoffs), "scored")
    if not made:
        raise HistoryError("observations of all series at the origins", "none", "wait for newer data")
    return pd.concat(made, ignore_index=True)


def _naive(config: Config, name: str, whole: Table, fold: Fold) -> pd.DataFrame:
    made = models.build(config.model[name], forecaster.context(config, config.seed))
    made.fit(split.history(whole, fold))
    return backtest.forecasts(made, whole, fold)


def scales(config: Config, whole: Table, rows: pd.DataFrame) -> Mapping[str, float]:
    history = whole.panel.until(rows["cutoff"].min())
    found = metrics.scales(history, config.dataset.season_length)
    return dict(zip(history.ids, map(float, np.asarray(found)), strict=True))
