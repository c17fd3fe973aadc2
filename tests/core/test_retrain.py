"""The rule that trains again and takes back: what it may never do, whatever the alarms do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daycast.core.retrain import Action, Rule, State, Trial, cooling, decided

START = date(2024, 1, 1)
RULE = Rule(cool_down=7, back_off=1.5, longest=28, max_age=60, least=7, worse=0.1)

rules = st.builds(
    lambda cool, more, **given: Rule(cool_down=cool, longest=cool + more, **given),
    cool=st.integers(1, 20),
    more=st.integers(0, 40),
    back_off=st.floats(1.0, 4.0),
    max_age=st.integers(1, 90),
    least=st.integers(1, 30),
    worse=st.floats(0, 1),
)
lives = st.lists(
    st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=150
)  # a day: an alarm; the gate's answer


def lived(rule: Rule, days: list[tuple[bool, bool]]) -> list[tuple[int, int]]:
    """Days of trainings with the refusals in a row before each, from a first training on; by the rule's own words."""
    state, made = State(START, 0, 0, None), []
    for number, (alarm, passes) in enumerate(days, start=1):
        today = START + timedelta(days=number)
        state = replace(state, alarm="bad" if alarm else None, age=(state.age or 0) + 1)
        if decided(rule, state, today).kind == "train":
            made.append((number, state.refused))
            after = {"refused": 0, "age": 0} if passes else {"refused": state.refused + 1}
            state = replace(state, trained=today, **after)
    return made


@given(rules, lives)
def test_it_never_trains_more_than_once_per_cool_down_whatever_the_alarms_do(
    rule: Rule, days: list[tuple[bool, bool]]
) -> None:
    made = [0, *(number for number, _ in lived(rule, days))]
    assert all(later - earlier >= rule.cool_down for earlier, later in pairwise(made))


@given(rules, lives)
def test_refusals_in_a_row_never_shorten_the_wait_and_it_has_an_end(rule: Rule, days: list[tuple[bool, bool]]) -> None:
    before = 0
    for number, refused in lived(rule, days):
        assert number - before >= cooling(rule, refused) >= cooling(rule, max(0, refused - 1))
        assert cooling(rule, refused) <= rule.longest
        before = number


@given(rules, st.integers(1, 6))
def test_an_alarm_that_flickers_inside_a_cool_down_gives_one_training(rule: Rule, period: int) -> None:
    quiet = replace(rule, max_age=10_000, cool_down=rule.cool_down + period, longest=rule.longest + period)
    settled = [(False, True)] * quiet.longest
    flicker = [(number % period == 0, True) for number in range(quiet.cool_down)]
    assert len(lived(quiet, settled + flicker)) == 1


@given(rules, st.integers(1, 3))
def test_a_lasting_alarm_is_answered_for_ever(rule: Rule, refusals: int) -> None:
    span = rule.longest * (refusals + 3)
    made = lived(rule, [(True, False)] * span)
    assert len(made) >= span // rule.longest - 1


@given(rules)
def test_without_an_alarm_a_champion_is_trained_again_when_it_is_too_old(rule: Rule) -> None:
    calm = replace(rule, cool_down=1, longest=1)
    assert [number for number, _ in lived(calm, [(False, True)] * (2 * rule.max_age))] == [
        rule.max_age,
        2 * rule.max_age,
    ]


def test_without_a_champion_it_trains_at_once() -> None:
    assert decided(RULE, State(None, 0, None, None), START) == Action("train", "there is no champion")


def test_a_naive_champion_is_a_stopgap_until_the_cool_down_is_over() -> None:
    state = State(START, 0, 8, None, stopgap=True)
    assert decided(RULE, state, START + timedelta(days=6)).kind == "wait"
    assert decided(RULE, state, START + timedelta(days=7)).kind == "train"


def test_it_says_why_it_waits_and_for_how_long() -> None:
    state = State(START, 2, 10, "worse on 5 of 7")
    said = decided(RULE, state, START + timedelta(days=10))
    assert said.kind == "wait"
    assert "trained 10 days ago, cooling down for 16 after 2 refusals in a row; alarm: worse on 5 of 7" in said.reason
    assert decided(RULE, state, START + timedelta(days=16)) == Action("train", "alarm: worse on 5 of 7")


@pytest.mark.parametrize(
    ("trial", "rolls_back"),
    [
        (Trial(START, 7, 111.0, 100.0, 200.0), "the champion before"),
        (Trial(START, 7, 109.0, 100.0, 200.0), None),
        (Trial(START, 6, 999.0, 100.0, 200.0), None),  # too few to tell
        (Trial(START, 7, 111.0, 200.0, 100.0), None),  # the one before would be worse still
    ],
)
def test_a_new_champion_goes_back_if_it_does_worse_than_the_one_before(trial: Trial, rolls_back: str | None) -> None:
    said = decided(RULE, State(START, 0, 8, "bad", trial=trial), START + timedelta(days=8))
    assert (said.kind == "roll back") == (rolls_back is not None)
    assert rolls_back is None or rolls_back in said.reason


def test_a_new_champion_that_only_the_naive_beats_is_trained_again() -> None:
    state = State(START, 0, 8, None, trial=Trial(START, 7, 111.0, 200.0, 100.0))
    said = decided(RULE, state, START + timedelta(days=8))
    assert said.kind == "train"
    assert "111 against 100 of the seasonal naive" in said.reason


def test_on_the_very_data_that_it_saw_nothing_is_trained_again() -> None:
    state = State(START, 0, 8, "bad", seen=True)
    assert decided(RULE, state, START + timedelta(days=30)).kind == "wait"
    assert decided(RULE, replace(state, seen=False), START + timedelta(days=30)).kind == "train"


@given(st.integers(0, 100_000), st.floats(1.0, 10.0))
def test_any_number_of_refusals_can_be_waited_for(refused: int, back_off: float) -> None:
    assert RULE.cool_down <= cooling(replace(RULE, back_off=back_off), refused) <= RULE.longest


def test_a_champion_of_which_nothing_is_known_is_trained_again_after_the_cool_down() -> None:
    state = State(START, 0, None, None, unknown="the champion, version 5, was not made by daycast")
    late = START + timedelta(days=RULE.cool_down)
    assert decided(RULE, state, late) == Action("train", "the champion, version 5, was not made by daycast")
    assert decided(RULE, state, START).kind == "wait"


def test_a_champion_that_does_not_forecast_is_trained_again_as_often_as_the_cool_down_allows() -> None:
    why = "the champion, version 5, does not forecast any more: no files"
    state = State(START, 0, 0, None, failing=why)
    late = START + timedelta(days=RULE.cool_down)
    assert decided(RULE, state, late) == Action("train", why)
    assert decided(RULE, state, START).kind == "wait"
    assert decided(RULE, replace(state, seen=True), late).kind == "wait"
    again = decided(RULE, replace(state, refused=2), late)
    assert (again.kind, again.reason) == (
        "wait",
        f"not yet: trained 7 days ago, cooling down for 16 after 2 refusals in a row; {why}",
    )


def test_a_rollback_names_the_series_that_the_champion_is_worst_for() -> None:
    state = State(START, 0, 8, None, trial=Trial(START, 7, 111.0, 100.0, 200.0, ("rail", "bus")))
    assert decided(RULE, state, START).series == ("rail", "bus")
