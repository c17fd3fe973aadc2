"""When to train again, and when to take a new champion back: a rule that does not flap, whatever the alarms do.

Days are whole: a training of today can be followed by another one tomorrow at the earliest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["train", "roll back", "wait"]


@dataclass(frozen=True)
class Rule:
    """What is asked for; days unless said otherwise.

    Attributes:
        cool_down: at least between two trainings.
        back_off: factor, at least 1, that the cool-down is multiplied by for each refused challenger in a row.
        longest: the cool-down at most, after whatever refusals.
        max_age: of the champion's training, from which on it is trained again without an alarm.
        least: days of a trial that must have come before it may end in a rollback.
        worse: by how much a new champion's error may exceed that of the one before, or of the naive: a fraction.
    """

    cool_down: int
    back_off: float
    longest: int
    max_age: int
    least: int
    worse: float


@dataclass(frozen=True)
class Trial:
    """How a new champion has done since its promotion, at the same rows as others; mean absolute errors, raw units.

    Attributes:
        since: the first day that the champion had not seen when it was promoted.
        days: that it has forecast since, and that have come.
        champion: its error; ``previous``: what the champion before would have had; ``naive``: the seasonal naive's.
        series: those in which it missed by more than the one before, worst first, some at most.
    """

    since: date
    days: int
    champion: float
    previous: float
    naive: float
    series: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What the rule goes by.

    Attributes:
        trained: day of the newest training; ``None`` if there was none.
        refused: challengers in a row that were refused or rolled back; of an alarm, those since its episode began, as
            what was refused in quiet times says nothing of now.
        age: days of data that have come since the champion's training; ``None`` without a champion, or if it does not
            say what it has seen.
        alarm: the monitoring's verdict of today, in words; ``None`` if it raised none.
        stopgap: whether the champion is a naive baseline, which holds the place until a model is better again.
        trial: of a champion that was promoted not long ago and has one before it; else ``None``.
        seen: whether the newest training saw all the data that there are, so that another one would come out the same.
        unknown: why nothing can be told of the champion, in words; ``None`` if all can.
        failing: why the champion does not forecast from the newest data, so that another one stands in for it, in
            words; ``None`` if it does, as where it has just done so.
    """

    trained: date | None
    refused: int
    age: int | None
    alarm: str | None
    stopgap: bool = False
    trial: Trial | None = None
    seen: bool = False
    unknown: str | None = None
    failing: str | None = None


@dataclass(frozen=True)
class Action:
    """What to do today.

    Attributes:
        reason: why, in figures.
        version: number of the one to take back, where that is done.
        series: those in which it is worst, worst first.
    """

    kind: Kind
    reason: str
    version: str | None = None
    series: tuple[str, ...] = ()


def cooling(rule: Rule, refused: int) -> int:
    """Days to wait after a training, after so many refusals in a row."""
    # In logarithms: a power of many refusals is beyond any float.
    grown = math.log(rule.cool_down) + refused * math.log(rule.back_off)
    capped = grown >= math.log(max(rule.longest, rule.cool_down))
    return max(rule.longest, rule.cool_down) if capped else round(math.exp(grown))


def decided(rule: Rule, state: State, today: date) -> Action:
    """What to do today: take back a new champion that does worse, train again, or wait.

    A rollback comes first, as it helps at once. An alarm trains, and so does a champion of which nothing is known, as
    somebody who moved the alias by hand may have put there, one that does not forecast any more, one that is too old,
    one that does worse than the seasonal naive on its trial where the one before would have done so too, or a naive
    baseline, which never raises an alarm as it is what others are held against; none does before the cool-down is over,
    or on data that were trained on already. The cool-down counts from the last training, whatever came of it.
    """
    trial = state.trial if state.trial is not None and state.trial.days >= rule.least else None
    if trial is not None and trial.champion > (1 + rule.worse) * trial.previous:
        return Action("roll back", _told(rule, trial, "the champion before", trial.previous), series=trial.series)
    wait = cooling(rule, state.refused)
    since = None if state.trained is None else (today - state.trained).days
    told = f"the champion was trained on data that end {state.age} days before the newest, {rule.max_age} allowed"
    if state.unknown is not None:
        why = state.unknown
    elif state.age is None:
        why = "there is no champion"
    elif state.failing is not None:
        why = state.failing
    elif state.alarm is not None:
        why = f"alarm: {state.alarm}"
    elif trial is not None and trial.champion > (1 + rule.worse) * trial.naive:
        why = _told(rule, trial, "the seasonal naive", trial.naive)
    elif state.stopgap:
        why = "the champion is a naive baseline, a stopgap"
    elif state.age >= rule.max_age:
        why = told
    else:
        return Action("wait", f"no alarm, and {told}")
    if since is not None and since < wait:
        refusals = f" after {state.refused} refusals in a row" if state.refused else ""
        return Action("wait", f"not yet: trained {since} days ago, cooling down for {wait}{refusals}; {why}")
    if state.seen:
        return Action("wait", f"the newest training saw all the data that there are; {why}")
    return Action("train", why)


def _told(rule: Rule, trial: Trial, name: str, error: float) -> str:
    return (
        f"since {trial.since}, on {trial.days} days, MAE {trial.champion:,.4g} against {error:,.4g} of {name}; "
        f"{100 * rule.worse:.0f} % more is allowed"
    )
