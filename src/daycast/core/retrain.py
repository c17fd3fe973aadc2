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
        least: origins of a trial, all or some of their days come, before it may end in a rollback.
        trial: since a promotion, after which the new champion stays.
        worse: by how much a new champion's error may exceed that of the one before, or of the naive: a fraction.
    """

    cool_down: int
    back_off: float
    longest: int
    max_age: int
    least: int
    trial: int
    worse: float


@dataclass(frozen=True)
class Trial:
    """How a new champion has done since its promotion, at the same rows as others; mean absolute errors, raw units.

    Attributes:
        since: day of the promotion.
        origins: from which its forecasts have, at least in part, matured.
        champion: its error; ``previous``: what the champion before would have had; ``naive``: the seasonal naive's.
    """

    since: date
    origins: int
    champion: float
    previous: float
    naive: float


@dataclass(frozen=True)
class State:
    """What the rule goes by.

    Attributes:
        trained: day of the newest training; ``None`` if there was none.
        refused: challengers in a row that were refused or rolled back; of an alarm, those since its episode began, as
            what was refused in quiet times says nothing of now.
        champion_trained: day up to which the champion's training saw data; ``None`` without a champion.
        alarm: the monitoring's verdict of today, in words; ``None`` if it raised none.
        stopgap: whether the champion is a naive baseline, which holds the place until a model is better again.
        trial: of a champion that was promoted and has one before it; else ``None``.
        seen: whether the newest training saw all the data that there are, so that another one would come out the same.
    """

    trained: date | None
    refused: int
    champion_trained: date | None
    alarm: str | None
    stopgap: bool = False
    trial: Trial | None = None
    seen: bool = False


@dataclass(frozen=True)
class Action:
    """What to do today, and why, in figures."""

    kind: Kind
    reason: str


def cooling(rule: Rule, refused: int) -> int:
    """Days to wait after a training, after so many refusals in a row."""
    # In logarithms: a power of many refusals is beyond any float.
    grown = math.log(rule.cool_down) + refused * math.log(rule.back_off)
    capped = grown >= math.log(max(rule.longest, rule.cool_down))
    return max(rule.longest, rule.cool_down) if capped else round(math.exp(grown))


def decided(rule: Rule, state: State, today: date) -> Action:
    """What to do today: take back a new champion that does worse, train again, or wait.

    A rollback comes first, as it helps at once. An alarm trains, and so does a champion that is too old, one that does
    worse than the seasonal naive on its trial where the one before would have done so too, or a naive baseline, which
    never raises an alarm as it is what others are held against; none does before the cool-down is over, or on data that
    were trained on already. The cool-down counts from the last training, whatever came of it.
    """
    trial = _of_weight(rule, state.trial, today)
    if trial is not None and trial.champion > (1 + rule.worse) * trial.previous:
        return Action("roll back", _told(rule, trial, "the champion before", trial.previous))
    wait = cooling(rule, state.refused)
    since = None if state.trained is None else (today - state.trained).days
    age = None if state.champion_trained is None else (today - state.champion_trained).days
    if age is None:
        why = "there is no champion"
    elif state.alarm is not None:
        why = f"alarm: {state.alarm}"
    elif trial is not None and trial.champion > (1 + rule.worse) * trial.naive:
        why = _told(rule, trial, "the seasonal naive", trial.naive)
    elif state.stopgap:
        why = "the champion is a naive baseline, a stopgap"
    elif age >= rule.max_age:
        why = f"the champion was trained {age} days ago, {rule.max_age} allowed"
    else:
        return Action("wait", f"no alarm, and the champion was trained {age} days ago, {rule.max_age} allowed")
    if since is not None and since < wait:
        refusals = f" after {state.refused} refusals in a row" if state.refused else ""
        return Action("wait", f"not yet: trained {since} days ago, cooling down for {wait}{refusals}; {why}")
    if state.seen:
        return Action("wait", f"the newest training saw all the data that there are; {why}")
    return Action("train", why)


def _of_weight(rule: Rule, trial: Trial | None, today: date) -> Trial | None:
    """The trial, if it can tell by now and is not over."""
    if trial is None or trial.origins < rule.least or (today - trial.since).days > rule.trial:
        return None
    return trial


def _told(rule: Rule, trial: Trial, name: str, error: float) -> str:
    return (
        f"since {trial.since}, from {trial.origins} origins, MAE {trial.champion:,.4g} against {error:,.4g} of {name}; "
        f"{100 * rule.worse:.0f} % more is allowed"
    )
