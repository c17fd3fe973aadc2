"""How forecasts turned out: errors once the days have come, against what the season alone would have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

Rows = pd.DataFrame


@dataclass(frozen=True)
class Alarm:
    """A verdict on how forecasts turn out.

    Attributes:
        raised: whether somebody has to act.
        reason: in figures, either way.
    """

    raised: bool
    reason: str


def matured(forecasts: Rows, actuals: Rows, season_length: int, freq: str) -> Rows:
    """Forecast rows whose values have come, each beside the seasonal naive forecast of its own cutoff.

    Args:
        forecasts: ``unique_id, cutoff, ds, y_hat`` and more, raw units; of one forecast that was made more than once
            (of other data, or by another version) the one made last counts, by ``made_at``.
        actuals: ``unique_id, ds, y``, raw units.
        season_length: timestamps per season, of ``freq``.

    Returns:
        The rows that can be judged, with ``y`` and ``naive``: the newest value of the same season up to the cutoff.
    """
    one = ["unique_id", "cutoff", "ds"]
    newest = forecasts.sort_values("made_at").drop_duplicates(one, keep="last")
    known = actuals.dropna(subset="y")[["unique_id", "ds", "y"]]
    rows = newest.merge(known, on=["unique_id", "ds"])
    offset = pd.tseries.frequencies.to_offset(freq)
    steps = rows["step"].to_numpy()
    back = season_length * np.ceil(steps / season_length).astype(
        int
    )  # whole seasons, so many that it lies by the cutoff
    rows["before"] = [ds - int(n) * offset for ds, n in zip(rows["ds"], back, strict=True)]
    past = known.rename(columns={"ds": "before", "y": "naive"})
    return rows.merge(past, on=["unique_id", "before"]).drop(columns="before").sort_values(one, ignore_index=True)


def windows(rows: Rows) -> Rows:
    """Of each cutoff: ``n_rows``, ``mae``, ``naive_mae`` and ``bias`` (forecast less value), raw units, ``skill``.

    Skill is 1 - mae / naive_mae: 0 is as good as the seasonal naive, below that is worse.
    """
    told = rows.assign(
        error=(rows["y_hat"] - rows["y"]).abs(),
        bias=rows["y_hat"] - rows["y"],
        naive_error=(rows["naive"] - rows["y"]).abs(),
    ).groupby("cutoff", as_index=False)
    out = told.agg(
        n_rows=("y", "size"),
        mae=("error", "mean"),
        naive_mae=("naive_error", "mean"),
        bias=("bias", "mean"),
        model_version=("model_version", "last"),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        out["skill"] = np.where(
            out["naive_mae"] > 0, 1 - out["mae"] / out["naive_mae"], np.where(out["mae"] > 0, -np.inf, 0.0)
        )
    return out


def judged(found: Rows, n: int, at_least: int) -> Alarm:
    """Whether forecasts have been worse than the seasonal naive for long, and are so still.

    An alarm takes ``at_least`` of the newest ``n`` cutoffs with negative skill, the newest one among them: one bad day
    raises none, and one that has passed raises none any more.

    Args:
        found: of ``windows``, oldest first.
    """
    newest = found.tail(n)
    if newest.empty:
        return Alarm(False, "no forecast has matured yet")
    bad = int((newest["skill"] < 0).sum())
    last = float(newest["skill"].iloc[-1])
    told = (
        f"worse than the seasonal naive on {bad} of the newest {len(newest)} cutoffs "
        f"({at_least} of {n} raise an alarm), "
        f"the newest with skill {last:.2f}"
    )
    return Alarm(bad >= at_least and last < 0, told)
