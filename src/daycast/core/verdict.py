"""The gate: who of a leaderboard may serve, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from daycast.core.significance import FEWEST, Lead
from daycast.errors import PromotionError


@dataclass(frozen=True)
class Gate:
    """What a model must come to.

    Attributes:
        margin: relative improvement over the best naive baseline, a fraction.
        significance: the probability at most that any of the models passes that is no better; ``None`` asks for the
            margin alone.
    """

    margin: float
    significance: float | None


@dataclass(frozen=True)
class Decision:
    """Who should serve, and why.

    Attributes:
        winner: the model's name.
        baseline: name of the best naive baseline.
        promote: whether the winner may become champion.
        reasons: sentences with figures, the verdict last.
        checks: what was tested, by model: ``name``, ``passed``, ``value`` and ``threshold``. Values are relative
            improvements, fractions: the one measured, and the least by ``significance.lead``, ``None`` where origins
            are too few to tell.
    """

    winner: str
    baseline: str
    promote: bool
    reasons: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]

    @property
    def is_baseline(self) -> bool:
        """Whether the winner is a naive baseline."""
        return self.winner == self.baseline

    def about(self, model: str) -> list[str]:
        """The reasons that are about one model; the verdict is about all, so it is not among them."""
        return [reason for reason in self.reasons[:-1] if reason.startswith(f"{model}: ")]

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {**asdict(self), "reasons": list(self.reasons), "checks": [dict(c) for c in self.checks]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """What ``to_json`` gave."""
        return cls(**{**values, "reasons": tuple(values["reasons"]), "checks": tuple(values["checks"])})


def improvement(value: float, best: float) -> float:
    """How much lower ``value`` is than ``best``, as a fraction of it; 0 where ``best`` is 0 and can't be bettered."""
    return 0.0 if best == 0 else 1 - value / best


def best_baseline(board: pd.DataFrame, baselines: Collection[str], metric: str) -> str:
    """The best naive baseline on a board, by the metric.

    Raises:
        PromotionError: there is none.
    """
    ranked = board.sort_values([metric, "model"])["model"]
    naive = ranked[ranked.isin(list(baselines))]
    if naive.empty:
        raise PromotionError(
            f"a naive baseline among {sorted(baselines)} on the leaderboard",
            f"{ranked.tolist()}",
            "add one to `model`, such as model=[seasonal_naive,gru]",
        )
    return str(naive.iloc[0])


def decide(
    board: pd.DataFrame, baselines: Collection[str], margin: float, metric: str, leads: Mapping[str, Lead]
) -> Decision:
    """The verdict on a leaderboard: a model wins only by beating the best naive baseline, by enough and surely.

    Args:
        board: at least ``model``, ``n_rows`` and ``metric``, one row per model.
        baselines: the naive models; at least one must be on the board.
        margin: relative improvement required, a fraction.
        metric: what to judge by, lower is better.
        leads: of each other model over the best of them; empty to ask for the margin alone.

    Raises:
        PromotionError: the board has no baseline, or its figures are not comparable.
    """
    base = best_baseline(board, baselines, metric)
    ranked = board.sort_values([metric, "model"])
    if not np.isfinite(ranked[metric]).all() or ranked["n_rows"].nunique() != 1:
        raise PromotionError(
            f"a finite {metric} of every model, all over the same rows",
            ranked[["model", "n_rows", metric]].to_string(index=False),
            "run the backtests again on the same data and folds",
        )
    value = dict(zip(ranked["model"], map(float, ranked[metric]), strict=True))
    reasons, checks, passed = [], [], []
    for name in (name for name in value if name not in baselines):
        gain = improvement(value[name], value[base])
        ok = bool(gain > 0 and gain >= margin)
        checks.append({"name": f"{name} beats {base}", "passed": ok, "value": gain, "threshold": margin})
        reasons.append(
            f"{name}: {metric} {_figure(value[name])} against {_figure(value[base])} of {base}, "
            f"{_percent(gain, margin)}, {100 * margin:.1f} % required: {'passed' if ok else 'failed'}"
        )
        if leads:
            lead = leads[name]
            told = {"passed": lead.sure, "value": lead.low, "threshold": 0.0}
            checks.append({"name": f"{name} beats {base} by more than chance", **told})
            reasons.append(f"{name}: {_surely(lead)}: {'passed' if lead.sure else 'failed'}")
        passed += [name] if ok and (not leads or lead.sure) else []
    if passed:
        of = f"all {len(ranked)} models" if passed[0] == next(iter(value)) else "those that passed"
        verdict = f"{passed[0]} wins: the lowest {metric} of {of}"
    else:
        others = f"no model beats it {'by enough and surely' if leads else 'by enough'}"
        others = others if checks else "nothing else was compared"
        verdict = f"{base} wins: the best baseline, {metric} {_figure(value[base])}, and {others}"
    return Decision(passed[0] if passed else base, base, True, (*reasons, verdict), tuple(checks))


def _surely(lead: Lead) -> str:
    """How much of a lead is sure, in words."""
    basis = f"{lead.origins} origins in blocks of {lead.block}"
    if lead.low is None:
        return (
            f"{basis} are too few to tell a lead from chance, {FEWEST} blocks are needed (widen the test fold by "
            "backtest.n_targets or first_target, or set promotion.significance=null to ask for the margin alone)"
        )
    size = 100 * abs(lead.low)
    figure = f"{size:.3g}" if size < 100 else f"{size:,.0f}"
    least = f"{figure} % better at least" if lead.sure else f"maybe {figure} % worse"
    return f"{least}, with {100 * lead.confidence:.4g} % confidence from {basis}"


def _figure(value: float) -> str:
    """A figure in three or more significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"


def _percent(gain: float, margin: float) -> str:
    """A gain in percent, with more digits where rounding would hide on which side of ``margin`` it lies."""
    digits = 1 if round(gain, 3) != round(margin, 3) or gain == margin else 4
    return f"{100 * abs(gain):.{digits}f} % {'worse' if gain < 0 else 'better'}"
