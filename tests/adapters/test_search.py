"""Optuna, for real, on SQLite in a temporary folder and on a real PostgreSQL."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import nullcontext

import pytest
from sqlalchemy import create_engine, text

from daycast.adapters import search as adapter
from daycast.adapters.search import importances, search
from daycast.config import Tuning
from daycast.config.search import Choice, FloatRange, IntRange
from tests.adapters import postgres

SPACE = {"x": FloatRange(kind="float", low=-5, high=5), "n": IntRange(kind="int", low=1, high=9)}


def Objective(evaluate, space, start, segment=100):  # noqa: N802 - stands for the class
    return adapter.Objective(evaluate, space, start, segment)


def tuning(**changes):
    values = {"name": "t", "n_trials": 8, "n_startup_trials": 3, "warmup_epochs": 2, "seeds": 1}
    return Tuning(**(values | {"pruner": "median"} | changes))


@pytest.fixture(scope="module")
def postgresql():
    with postgres.server() as url:
        yield url


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'a folder' / 'studies.db'}"


def parabola(parameters, _report, _number):
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


def test_the_median_pruner_stops_bad_trials_and_saves_their_epochs(url):
    epochs = []

    def evaluate(parameters, report, _number):
        for epoch in range(20):
            epochs.append(epoch)
            report(epoch, abs(parameters["x"]) + 1 / (epoch + 1))
        return abs(parameters["x"])

    objective = Objective(evaluate, {"x": Choice(kind="choice", values=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0))}, {"x": 0.0})
    result = search(url, "s", objective, tuning(n_trials=12), seed=3)
    pruned = [t for t in result.trials if t.state == "pruned"]
    assert pruned
    assert all(2 <= max(t.curve) < 19 for t in pruned)  # after the warm-up, before the end
    assert all(t.value is None for t in pruned)
    assert len(epochs) == sum(len(t.curve) for t in result.trials) < 12 * 20
    assert result.best.state == "complete"


def test_a_good_first_fold_does_not_shield_a_trial_in_the_second(url):
    def evaluate(parameters, report, _number):
        for step in range(20):  # the first fold is easy for all; the second tells them apart
            report(step, 0.1 if step < 10 else 1 + abs(parameters["x"]))
        return abs(parameters["x"])

    objective = Objective(evaluate, {"x": Choice(kind="choice", values=(0.0, 1.0, 2.0, 3.0))}, {"x": 0.0}, segment=10)
    result = search(url, "s", objective, tuning(n_trials=12, warmup_epochs=9), seed=3)
    assert {max(t.curve) for t in result.trials if t.state == "pruned"} == {19}  # after the warm-up of its own fold


def test_without_a_pruner_every_trial_ends(url):
    def evaluate(parameters, report, _number):
        for epoch in range(10):
            report(epoch, abs(parameters["x"]))
        return abs(parameters["x"])

    result = search(url, "s", Objective(evaluate, {"x": SPACE["x"]}, {"x": 0.0}), tuning(pruner="none"), seed=3)
    assert {t.state for t in result.trials} == {"complete"}


def test_a_killed_search_is_taken_up_with_nothing_lost_and_nothing_twice(url):
    script = textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {str(os.path.dirname(__file__))!r})
        from test_search import SPACE, Objective, search, tuning
        def evaluate(p, report, number):
            if number == 4:
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
