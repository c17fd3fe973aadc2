"""The leaderboard: all models at the same rows; and the gate's verdict on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from daycast.core import bootstrap, metrics, significance
from daycast.core.significance import Lead
from daycast.core.verdict import Decision, Gate, best_baseline, decide, improvement
from daycast.errors import ConfigError, ModelError

KEYS = ["unique_id", "cutoff", "ds"]


def judge(
    scored: Mapping[str, pd.DataFrame],
    scales: Mapping[str, float],
    metric: str,
    series: Collection[str] | None,
    baselines: Collection[str],
    gate: Gate,
) -> tuple[pd.DataFrame, Decision]:
    """The leaderboard, and the gate's verdict on it.

    As many models compete for one place, each is tested at ``gate.significance`` divided by their number (Bonferroni).

    Args:
        scored: as ``leaderboard`` takes it, and so ``scales``, ``metric``, ``series`` and ``baselines``.
        gate: what is asked for.

    Raises:
        ConfigError: as by ``leaderboard``.
        ModelError: as by ``leaderboard``.
        PromotionError: as by ``decide``.
    """
    board = leaderboard(scored, scales, metric, series, baselines)
    best, rivals = best_baseline(board, baselines, metric), [name for name in board["model"] if name not in baselines]
    leads: dict[str, Lead] = {}
    if gate.significance is not None:
        chosen = {name: _chosen(scored[name], series) for name in (best, *rivals)}
        level = gate.significance / max(len(rivals), 1)
        leads = {n: significance.lead(chosen[n], chosen[best], scales, metric, level) for n in rivals}
    return board, decide(board, baselines, gate.margin, metric, leads)


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
    chosen = {name: _chosen(rows, series) for name, rows in scored.items()}
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


def _chosen(rows: pd.DataFrame, series: Collection[str] | None) -> pd.DataFrame:
    """The rows of the series that count, in order."""
    return (rows if series is None else rows[rows["unique_id"].isin(list(series))]).sort_values(KEYS)


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
