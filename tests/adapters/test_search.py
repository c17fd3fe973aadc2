"""Optuna, for real, on SQLite in a temporary folder and on a real PostgreSQL."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import nullcontext
from itertools import count

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from daycast.adapters import search as adapter
from daycast.adapters.search import importances, search
from daycast.config import Tuning
from daycast.config.search import Choice, FloatRange, IntRange, Variants
from daycast.errors import ModelError
from tests.adapters import postgres

SPACE = {"x": FloatRange(kind="float", low=-5, high=5), "n": IntRange(kind="int", low=1, high=9)}


def Objective(evaluate, space, start, steps=20, refusals=()):  # noqa: N802 - stands for the class
    return adapter.Objective(evaluate, space, start, steps, refusals)


def tuning(**changes):
    values = {
        "name": "t",
        "n_trials": 8,
        "n_startup_trials": 3,
        "workers": 1,
        "keep": 0.5,
        "warmup_epochs": 2,
        "seeds": 1,
    }
    return Tuning(**(values | {"pruner": "halving"} | changes))


@pytest.fixture(scope="module")
def postgresql():
    with postgres.server() as url:
        yield url


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'a folder' / 'studies.db'}"


def parabola(parameters, _report):
    return parameters["x"] ** 2 + parameters["n"]


def test_search_finds_a_better_value_than_the_start_and_tries_the_start_first(url):
    result = search(url, "s", Objective(parabola, SPACE, {"x": 4.0, "n": 9}), tuning(n_trials=20), seed=1)
    assert result.trials[0].parameters == {"x": 4.0, "n": 9}
    assert result.trials[0].value == 25
    assert result.best.value < 6
    assert len(result.trials) == 20


@pytest.mark.parametrize("fails", [False, True])
def test_a_search_leaves_no_connection_open(postgresql, fails):
    """A server asked to shut down would wait for it."""

    def evaluate(*arguments):
        if fails:
            raise ValueError("broken")
        return parabola(*arguments)

    name = f"closed {fails}"
    with pytest.raises(ValueError, match="broken") if fails else nullcontext():
        search(postgresql, name, Objective(evaluate, SPACE, {"x": 4.0, "n": 9}), tuning(n_trials=5), seed=1)
    importances(postgresql, name)
    others = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    engine = create_engine(postgresql)
    with engine.connect() as connection:
        for _ in range(50):  # the server's process ends a moment after its client
            left = connection.execute(text(others)).scalar_one()
            connection.rollback()
            if not left:
                break
            time.sleep(0.1)
    engine.dispose()
    assert left == 0


@pytest.mark.parametrize("kind", ["url", "postgresql"])
def test_search_counts_finished_trials_of_earlier_calls_and_does_not_repeat_their_draws(request, kind):
    url = request.getfixturevalue(kind)
    objective = Objective(parabola, SPACE, {"x": 4.0, "n": 9})
    seen = []
    search(url, "s", objective, tuning(n_trials=3), seed=1)
    result = search(url, "s", objective, tuning(n_trials=7), seed=1, on_trial=lambda *a: seen.append(a[:2]))
    assert [t.number for t in result.trials] == list(range(7))
    assert seen == [(3, 7), (4, 7), (5, 7), (6, 7), (7, 7)]
    assert len({(t.parameters["x"], t.parameters["n"]) for t in result.trials}) == 7
    again = search(url, "s", objective, tuning(n_trials=7), seed=1)
    assert again == result


RUNGS = (5, 10, 15, 30)  # of two folds of 15 epochs, as the shipped tuning and trainer have them
CURVES = {
    "x": FloatRange(kind="float", low=-1, high=1),
    "slow": FloatRange(kind="float", low=0, high=1),
    "noise": IntRange(kind="int", low=0, high=10**6),
}


def learning(parameters, report):
    """The error of a network that learns: it falls to a floor at some speed, and shakes less and less on its way. By
    the first rung its rank is about what it will be; where it is not, any pruning may lose the best."""
    shake = np.random.default_rng(parameters["noise"]).normal(0, 0.1, RUNGS[-1])
    value = np.nan
    for epoch in RUNGS:
        start = 2 * np.exp(-epoch / (2 + parameters["slow"] / 2))
        value = 1 + abs(parameters["x"]) + start + shake[epoch - 1] / epoch
        report(epoch, value)
    return value


def test_halving_saves_half_of_the_work_and_finds_what_a_search_without_it_finds(url):
    """Curves are simulated; ``benchmarks/pruning.py`` does it with networks. All draws are random, so that a search
    without pruning has the same, and its values can be told."""
    objective = Objective(learning, CURVES, {"x": 0.8, "slow": 0.5, "noise": 0}, steps=RUNGS[-1])
    works = []
    for seed in (1, 2, 3):
        result = search(url, f"s{seed}", objective, tuning(n_trials=30, n_startup_trials=30, keep=0.5), seed)
        whole = [learning(t.parameters, lambda *_: None) for t in result.trials]
        assert result.best.number == np.argmin(whole) != 0
        assert result.best.value == min(whole)
        works.append(np.mean([t.share for t in result.trials]))
        assert works[-1] == pytest.approx(np.mean([max(t.curve) for t in result.trials]) / RUNGS[-1])
    assert np.mean(works) <= 0.5


def test_a_rung_lets_the_better_half_go_on_and_says_why_another_was_pruned(url):
    values, seen, numbers = [5.0, 4.0, 6.0, 4.5, 1.0, 7.0], [], count()

    def evaluate(_parameters, report):
        number = next(numbers)
        for step in (4, 20):
            seen.append((number, step))
            report(step, values[number])
        return values[number]

    result = search(url, "s", Objective(evaluate, SPACE, {"x": 1.0, "n": 1}), tuning(n_trials=6), seed=3)
    # Two to compare with come first; 6.0 is the last of three, 4.5 second of four, 1.0 first of five, 7.0 last of six.
    assert [t.state for t in result.trials] == ["complete", "complete", "pruned", "complete", "complete", "pruned"]
    assert not {(2, 20), (5, 20)} & set(seen)
    assert [t.share for t in result.trials] == [1, 1, 0.2, 1, 1, 0.2]
    assert result.trials[-1].reason == "7 after 4 of 20 steps was not among the best"
    assert result.trials[-1].value is None
    assert result.trials[-1].curve == {4: 7.0}


def test_a_trial_is_compared_with_pruned_ones_too_and_never_pruned_at_its_end(url):
    values = iter([1.0, 2.0, 3.0, 9.0, 8.0, 2.5])

    def evaluate(_parameters, report):
        value = next(values)
        report(4, value)
        report(20, 100.0 if value == 2.5 else value)
        return value

    result = search(url, "s", Objective(evaluate, SPACE, {"x": 1.0, "n": 1}), tuning(n_trials=6), seed=3)
    # With the complete ones alone 2.5 would be the last of three; with those pruned at 3, 9 and 8 it is third of six.
    assert [t.state for t in result.trials] == ["complete"] * 2 + ["pruned"] * 3 + ["complete"]


def test_a_draw_that_is_refused_is_pruned_with_its_reason_and_the_search_goes_on(url):
    def evaluate(parameters, _report):
        if parameters["x"] < 0:
            raise ValueError(f"no root of\n {parameters['x']:.1f}")
        return parameters["x"]

    objective = Objective(evaluate, SPACE, {"x": 1.0, "n": 1}, refusals=(ValueError,))
    result = search(url, "s", objective, tuning(n_trials=12), seed=1)
    refused = [t for t in result.trials if t.parameters["x"] < 0]
    assert refused
    assert {t.state for t in refused} == {"pruned"}
    assert refused[0].reason == f"refused, ValueError: no root of {refused[0].parameters['x']:.1f}"
    assert refused[0].share == 0
    assert result.best.parameters["x"] >= 0
    with pytest.raises(ValueError, match="no root"):  # the configured values themselves are nobody's draw
        search(url, "other", Objective(evaluate, SPACE, {"x": -1.0, "n": 1}, refusals=(ValueError,)), tuning(), seed=1)


def test_a_search_in_which_nothing_can_be_evaluated_says_why(url):
    def evaluate(*_):
        raise ValueError("too short a history")

    with pytest.raises(ModelError, match="none; refused, ValueError: too short a history"):
        search(url, "s", Objective(evaluate, SPACE, {"x": 1.0}, refusals=(ValueError,)), tuning(n_trials=3), seed=1)


def test_equal_draws_are_evaluated_once(url):
    seen = []

    def evaluate(parameters, _report):
        seen.append((parameters["a"], parameters["b"]))
        return float(len(seen))

    values = {"one": {"lag": 1}, "two": {"lag": 2}}
    space = {"a": Choice(kind="choice", values=(None, 3)), "b": Variants(kind="variants", values=values)}
    result = search(url, "s", Objective(evaluate, space, {"a": None, "b": "two"}), tuning(n_trials=12), seed=1)
    assert seen[0] == (None, "two")
    assert len(seen) == len(set(seen)) == 4
    assert len(result.trials) == 12
    again = [t for t in result.trials if t.reason]
    assert {t.reason for t in again} <= {f"as trial {n}" for n in range(12)}
    assert all(t.share == 0 for t in again)
    assert sum(t.share for t in result.trials) == 4
    assert result.best.number == 0  # of equal values the first, whose rows there are


def test_what_the_start_leaves_out_is_drawn(url):
    result = search(url, "s", Objective(parabola, SPACE, {"n": 7}), tuning(n_trials=1), seed=1)
    assert result.best.parameters["n"] == 7
    assert -5 <= result.best.parameters["x"] <= 5


def test_without_a_pruner_every_trial_ends(url):
    def evaluate(parameters, report):
        for epoch in range(10):
            report(epoch + 1, abs(parameters["x"]))
        return abs(parameters["x"])

    result = search(url, "s", Objective(evaluate, {"x": SPACE["x"]}, {"x": 0.0}), tuning(pruner="none"), seed=3)
    assert {t.state for t in result.trials} == {"complete"}


def test_a_killed_search_is_taken_up_with_nothing_lost_and_nothing_twice(url):
    script = textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {str(os.path.dirname(__file__))!r})
        from test_search import SPACE, Objective, search, tuning
        seen = []
        def evaluate(p, report):
            seen.append(p)
            if len(seen) == 5:
                print("fifth trial", flush=True)
                import time; time.sleep(600)
            return p["x"] ** 2
        search({url!r}, "s", Objective(evaluate, SPACE, {{"x": 1.0, "n": 1}}), tuning(), seed=1)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "fifth trial\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    result = search(url, "s", Objective(parabola, SPACE, {"x": 1.0, "n": 1}), tuning(), seed=1)
    assert sum(t.state == "complete" for t in result.trials) == 8
    assert [t.state for t in result.trials[:4]] == ["complete"] * 4


def test_an_error_in_the_objective_is_not_swallowed(url):
    def evaluate(*_):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        search(url, "s", Objective(evaluate, SPACE, {"x": 1.0, "n": 1}), tuning(), seed=1)


def test_importances_name_the_parameter_that_matters(url):
    space = {"x": SPACE["x"], "idle": FloatRange(kind="float", low=0, high=1)}
    objective = Objective(lambda parameters, *_: parameters["x"] ** 2, space, {"x": 4.0, "idle": 0.5})
    search(url, "s", objective, tuning(n_trials=20, n_startup_trials=20), seed=1)
    shares = importances(url, "s")
    assert list(shares) == ["x", "idle"]
    assert shares["x"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_importances_of_too_few_trials_are_not_guessed(url):
    search(url, "s", Objective(parabola, SPACE, {"x": 4.0, "n": 9}), tuning(n_trials=3), seed=1)
    assert importances(url, "s") == {}
