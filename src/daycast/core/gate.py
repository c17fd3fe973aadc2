"""The gate: a challenger beside the champion and the baselines, at the same rows, by named checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core import metrics, significance
from daycast.core.verdict import improvement

Rows = pd.DataFrame
NOTICED = 0.01  # error that matters, as a share of a series' mean


@dataclass(frozen=True)
class Check:
    """One thing that a challenger has to fulfil.

    Attributes:
        name: what it is about.
        passed: whether it does.
        value: what was measured, if it is a number.
        threshold: what was asked for, in the same unit.
        reason: a sentence with the figures.
    """

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class Limits:
    """What is asked for; fractions unless said otherwise.

    Attributes:
        margin: relative improvement over the champion.
        significance: the probability at most that a challenger passes that is no better; ``None`` asks for the margin.
        step_worse: how much worse than the champion a horizon step may be.
        series_worse: beyond which a series counts as much worse than by the champion,
        series_share: and how many of all series may be.
        coverage: least and greatest share of values inside the 80 % interval.
    """

    margin: float
    significance: float | None
    step_worse: float
    series_worse: float
    series_share: float
    coverage: tuple[float, float]


def same_rows(scored: Mapping[str, Rows]) -> dict[str, Rows]:
    """Of each model, the rows that all have, in one order; only of values that were observed.

    Args:
        scored: model → forecast rows with actuals, ``unique_id, cutoff, ds, step, y_hat, y`` and maybe quantiles.
    """
    keys = ["unique_id", "cutoff", "ds"]
    common = None
    for rows in scored.values():
        own = pd.MultiIndex.from_frame(rows.dropna(subset="y")[keys])
        common = own if common is None else common.intersection(own)
    assert common is not None
    order = common.sort_values()
    return {name: rows.set_index(keys).loc[order].reset_index() for name, rows in scored.items()}


def against(
    name: str, rows: Rows, other: Rows, scales: Mapping[str, float], metric: str, limits: Limits
) -> list[Check]:
    """Whether a challenger beats the champion: by the margin, and by more than chance in two ways.

    Args:
        name: the champion's, for people.
        rows: the challenger's, of ``same_rows``; ``other``: the champion's.
        scales: series → the scale of its MASE, in units of y.
        metric: what is compared, lower is better.
    """
    own, best = (metrics.score(r, scales).overall[metric] for r in (rows, other))
    gain = improvement(own, best) if np.isfinite([own, best]).all() else float("nan")
    enough = bool(gain > 0 and gain >= limits.margin)
    told = (
        f"{metric} {own:,.4g} against {best:,.4g} of {name}: {100 * gain:+.1f} %, {100 * limits.margin:.1f} % asked for"
    )
    out = [Check("better than the champion", enough, gain, limits.margin, told)]
    if limits.significance is not None:
        level = limits.significance
        lead = significance.lead(rows, other, scales, metric, level)
        blocks = f"{lead.origins} origins in blocks of {lead.block}"
        low = (
            "too few to tell"
            if lead.low is None
            else f"{100 * lead.low:+.1f} % at least, with {1 - level:.0%} confidence"
        )
        out.append(Check("better by the bootstrap", lead.sure, lead.low, 0.0, f"{low}, from {blocks}"))
        chance = significance.equal_accuracy(rows, other, scales, metric)
        said = "too few origins to tell" if chance is None else f"p = {chance:.3g}, {level:g} asked for"
        sure = chance is not None and chance <= level
        out.append(Check("better by Diebold-Mariano", sure, chance, level, said))
    return out


def better_than(baseline: str) -> str:
    """The name of the check that compares with a baseline."""
    return f"better than {baseline}"


def over_baselines(rows: Rows, baselines: Mapping[str, Rows], scales: Mapping[str, float], metric: str) -> list[Check]:
    """Whether a challenger is better than each naive baseline, at the same rows."""
    own, out = metrics.score(rows, scales).overall[metric], []
    for name, other in baselines.items():
        value = metrics.score(other, scales).overall[metric]
        gain = improvement(own, value)
        told = f"{metric} {own:,.4g} against {value:,.4g}: {100 * gain:+.1f} %"
        out.append(Check(better_than(name), bool(gain > 0), gain, 0.0, told))
    return out


def nowhere_much_worse(rows: Rows, other: Rows, scales: Mapping[str, float], limits: Limits) -> list[Check]:
    """Whether no horizon step, and of many series no more than some, are much worse than by the champion, by MAE."""
    own, before = metrics.score(rows, scales), metrics.score(other, scales)
    steps = own.by_step.set_index("step")["mae"] / before.by_step.set_index("step")["mae"] - 1
    worst = steps.fillna(0.0).idxmax()  # 0 of 0: both without an error
    most = float(steps.fillna(0.0).max())
    told = f"step {worst} is {100 * most:+.1f} %, {100 * limits.step_worse:.0f} % allowed"
    out = [Check("no step much worse", most <= limits.step_worse, most, limits.step_worse, told)]
    mine, theirs = (scores.by_series.set_index("unique_id")["mae"] for scores in (own, before))
    if len(mine) > 1:
        size = rows["y"].abs().groupby(rows["unique_id"]).mean()  # of a dead series, hardly any error is many times one
        share = float((mine > (1 + limits.series_worse) * theirs + NOTICED * size).mean())
        told = (
            f"{share:.1%} of {len(mine):,} series are worse by more than {limits.series_worse:.0%}, "
            f"{limits.series_share:.0%} allowed"
        )
        out.append(Check("few series much worse", share <= limits.series_share, share, limits.series_share, told))
    return out


def covered(share: float | None, limits: Limits) -> Check:
    """Whether as many values lay inside the 80 % interval as should.

    Args:
        share: of the values that came, inside the interval as it was issued at its origin; ``None`` without intervals.
    """
    low, high = limits.coverage
    if share is None or np.isnan(share):
        return Check("coverage", False, None, low, "no 80 % interval to look at")
    told = f"{share:.1%} of the values inside the 80 % interval, {low:.0%} .. {high:.0%} asked for"
    return Check("coverage", bool(low <= share <= high), share, low if share < low else high, told)


def intervals(rows: Rows, limits: Limits) -> Check:
    """Whether the 80 % intervals that would be served are sound: neither next to nothing nor boundless.

    They were made from these days among others, so this proves no coverage, which ``covered`` is for; but whatever
    became of them since shows. By the interval score (Gneiting and Raftery 2007, https://doi.org/10.1198/016214506000001437),
    they have to be better than none: the score of an interval without width is ten times the absolute error.

    Args:
        rows: as served, ``y_hat, y, q0.1, q0.9``, raw units; a row may have no interval.
    """
    name, least = "intervals as served", limits.coverage[0]
    if not {"q0.1", "q0.9"} <= set(rows):
        return Check(name, False, None, None, "there are none")
    seen = rows.dropna(subset=["y", "q0.1", "q0.9"])
    if seen.empty:
        return Check(name, False, None, None, "there are none")
    y, low, high = (seen[column].to_numpy(float) for column in ("y", "q0.1", "q0.9"))
    inside = float(((y >= low) & (y <= high)).mean())
    score = float((high - low + 10 * (np.maximum(low - y, 0) + np.maximum(y - high, 0))).mean())
    most = 10 * float(np.abs(y - seen["y_hat"].to_numpy(float)).mean())
    told = (
        f"{inside:.1%} of the values inside, {least:.0%} at least; interval score {score:,.4g}, {most:,.4g} without any"
    )
    return Check(name, bool(inside >= least and score <= most), score, most, told)


def passed(checks: Iterable[Check]) -> bool:
    """Whether all are; of none at all, it is not."""
    found = list(checks)
    return bool(found) and all(check.passed for check in found)
