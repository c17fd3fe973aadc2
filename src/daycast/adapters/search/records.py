"""What is searched, and what is told of a search; of Optuna only its trials are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daycast.config.search import Space

if TYPE_CHECKING:
    import optuna

Report = Callable[[int, float], None]
"""Called with (steps done, value so far, lower is better); ends a trial that is not worth going on by an exception."""
REASON = "reason"  # a trial's attribute in the study


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: from 0.
        state: ``complete``, ``pruned`` or ``failed``.
        value: of a complete one.
        curve: steps done -> value so far.
        share: of all its steps that were done; none of one that repeats another.
        reason: why it was pruned, or which one it repeats.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    curve: dict[int, float] = field(default_factory=dict)
    share: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class SearchResult:
    """What a search found: the best trial, and all that ended."""

    best: TrialRecord
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes:
        evaluate: called with (parameters, report); returns the value, lower is better.
        space: parameter -> what to search.
        start: configured values of those parameters, tried first; what is left out is drawn.
        steps: of a whole trial. Values reported after equally many are what trials are compared by.
        refusals: what ``evaluate`` raises of drawn parameters that can't be evaluated, for which a trial is pruned.
    """

    evaluate: Callable[[dict[str, Any], Report], float]
    space: Mapping[str, Space]
    start: Mapping[str, Any]
    steps: int
    refusals: tuple[type[Exception], ...] = ()


def record(trial: optuna.trial.FrozenTrial, steps: int) -> TrialRecord:
    """One of Optuna's trials, of so many steps."""
    names = {"COMPLETE": "complete", "PRUNED": "pruned"}
    complete, reason = trial.state.name == "COMPLETE", trial.user_attrs.get(REASON, "")
    return TrialRecord(
        trial.number,
        names.get(trial.state.name, "failed"),
        dict(trial.params),
        trial.value if complete else None,
        dict(trial.intermediate_values),
        1.0 if complete and not reason else (trial.last_step or 0) / steps,
        reason,
    )
