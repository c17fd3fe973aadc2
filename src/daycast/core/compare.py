"""The leaderboard, and the verdict on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from daycast.core import bootstrap, metrics
from daycast.errors import ConfigError, ModelError, PromotionError

KEYS = ["unique_id", "cutoff", "ds"]


@dataclass(frozen=True)
class Decision:
    """Who should serve, and why.

    Attributes:
        winner: the model's name.
        is_baseline: whether it is a naive baseline.
        promote: whether the winner may become champion.
        reasons: sentences with figures, the verdict last.
        checks: what was tested: ``name``, ``passed``, ``value`` and ``threshold`` (relative improvements, fractions).
    """

    winner: str
    is_baseline: bool
    promote: bool
    reasons: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {**asdict(self), "reasons": list(self.reasons), "checks": [dict(c) for c in self.checks]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """What ``to_json`` gave."""
        return cls(**{**values, "reasons": tuple(values["reasons"]), "checks": tuple(values["checks"])})


def leaderboard(
    scored: Mapping[str, pd.DataFrame],
    scales: Mapping[str, float],
    metric: str,
    series: Collection[str] | None = None,
    baselines: Collection[str] = (),
) -> pd.DataFrame:
    """Score all models at identical rows and rank them.

    Args:
        scored: model → forecast rows with actuals, ``unique_id, cutoff, ds, step, y_hat, y`` and maybe quantiles.
        scales: series → the scale of its MASE.
        metric: what to rank by, one of ``metrics.RANKABLE``.
        series: the series to score; ``None`` for all.
        baselines: the naive models among ``scored``.

    Returns:
        One row per model, best first: ``model, rank`` (from 1; equals by name), ``n_rows``, those of
        ``metrics.METRICS`` that there are, ``mae_low, mae_high`` (``bootstrap.mae_interval``), and ``skill``, the
        relative improvement over the best baseline (NaN without any).

    Raises:
        ConfigError: ``metric`` can't be ranked by.
        ModelError: models were not scored at the same rows, a forecast is missing, or ``metric`` has no value.
    """
    if metric not in metrics.RANKABLE:
        raise ConfigError(f"a metric among {list(metrics.RANKABLE)}", metric, "set backtest.metric to one of them")
    chosen = {
        name: (rows if series is None else rows[rows["unique_id"].isin(list(series))]).sort_values(KEYS)
        for name, rows in scored.items()
    }
    _check_rows(chosen)
    lines = []
    for name, rows in chosen.items():
        scores = metrics.score(rows, scales)
        low, high = bootstrap.mae_interval(rows)
        lines.append({"model": name, "n_rows": scores.n_rows, **scores.overall, "mae_low": low, "mae_high": high})
    columns = [m for m in (*metrics.METRICS, "mae_low", "mae_high") if any(m in line for line in lines)]
    board = pd.DataFrame(lines, columns=["model", "n_rows", *columns])
    undefined = sorted(chosen) if metric not in columns else board.loc[board[metric].isna(), "model"].tolist()
    if undefined:
        raise ModelError(
            f"a value of {metric} for every model", f"none for {undefined}", "rank by another metric, such as mae"
        )
    board = board.sort_values([metric, "model"], ignore_index=True)
    board.insert(1, "rank", np.arange(1, len(board) + 1))
    naive = board.loc[board["model"].isin(list(baselines)), metric]
    best = float(naive.min()) if len(naive) else np.nan
    return board.assign(skill=[improvement(float(value), best) for value in board[metric]])


def _check_rows(scored: Mapping[str, pd.DataFrame]) -> None:
    """Raise ``ModelError`` unless every model has the same rows, the same actuals, and a forecast in each."""
    fix = "run the backtest of this model again on the same data and folds"
    if not scored or all(rows.empty for rows in scored.values()):
        raise ModelError("forecast rows to compare", "none", "run the backtest, and check backtest.series")
    first = next(iter(scored))
    reference = pd.MultiIndex.from_frame(scored[first][KEYS])
    for name, rows in scored.items():
        keys = pd.MultiIndex.from_frame(rows[KEYS])
        if keys.has_duplicates:
            raise ModelError("each row once", f"{int(keys.duplicated().sum())} twice in {name}", fix)
        if not keys.equals(reference):
            differ = len(keys.symmetric_difference(reference))
            raise ModelError(f"{name} scored at the {len(reference)} rows of {first}", f"{differ} rows differ", fix)
        changed = rows["y"].to_numpy() != scored[first]["y"].to_numpy()
        changed &= rows["y"].notna().to_numpy() | scored[first]["y"].notna().to_numpy()
        if changed.any():
            raise ModelError(
                f"{name} scored against the values that {first} was", f"{int(changed.sum())} rows differ in y", fix
            )
        bad = ~np.isfinite(rows["y_hat"].to_numpy(dtype=np.float64))
        if bad.any():
            raise ModelError(f"a forecast by {name} in each of {len(rows)} rows", f"none in {int(bad.sum())}", fix)


def improvement(value: float, best: float) -> float:
    """How much lower ``value`` is than ``best``, as a fraction of it; 0 where ``best`` is 0 and can't be bettered."""
    return 0.0 if best == 0 else 1 - value / best


def decide(board: pd.DataFrame, baselines: Collection[str], margin: float, metric: str) -> Decision:
    """The verdict on a leaderboard: a model wins only by beating the best naive baseline by ``margin``, else that wins.

    Args:
        board: at least ``model``, ``n_rows`` and ``metric``, one row per model.
        baselines: the naive models; at least one must be on the board.
        margin: relative improvement required, a fraction.
        metric: what to judge by, lower is better.

    Raises:
        PromotionError: the board has no baseline, or its figures are not comparable.
    """
    ranked = board.sort_values([metric, "model"])
    naive = ranked[ranked["model"].isin(list(baselines))]
    if naive.empty:
        raise PromotionError(
            f"a naive baseline among {sorted(baselines)} on the leaderboard",
            f"{ranked['model'].tolist()}",
            "add one to `model`, such as model=[seasonal_naive,gru]",
        )
    if not np.isfinite(ranked[metric]).all() or ranked["n_rows"].nunique() != 1:
        raise PromotionError(
            f"a finite {metric} of every model, all over the same rows",
            ranked[["model", "n_rows", metric]].to_string(index=False),
            "run the backtests again on the same data and folds",
        )
    base, best = str(naive["model"].iloc[0]), float(naive[metric].iloc[0])
    reasons, checks, passed = [], [], []
    for name, value in ranked.loc[~ranked["model"].isin(list(baselines)), ["model", metric]].itertuples(index=False):
        gain = improvement(float(value), best)
        ok = bool(gain > 0 and gain >= margin)
        passed += [str(name)] if ok else []
        checks.append({"name": f"{name} beats {base}", "passed": ok, "value": gain, "threshold": margin})
        reasons.append(
            f"{name}: {metric} {_figure(float(value))} against {_figure(best)} of {base}, {_percent(gain, margin)}, "
            f"{100 * margin:.1f} % required: {'passed' if ok else 'failed'}"
        )
    if passed:
        verdict = f"{passed[0]} wins: the lowest {metric} of all {len(ranked)} models"
    else:
        others = "no model beats it by enough" if checks else "nothing else was compared"
        verdict = f"{base} wins: the best baseline, {metric} {_figure(best)}, and {others}"
    return Decision(passed[0] if passed else base, not passed, True, (*reasons, verdict), tuple(checks))


def _figure(value: float) -> str:
    """A figure in three or more significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"


def _percent(gain: float, margin: float) -> str:
    """A gain in percent, with more digits where rounding would hide on which side of ``margin`` it lies."""
    digits = 1 if round(gain, 3) != round(margin, 3) or gain == margin else 4
    return f"{100 * abs(gain):.{digits}f} % {'worse' if gain < 0 else 'better'}"
