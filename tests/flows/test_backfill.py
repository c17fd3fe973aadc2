"""Forecasts of past days: from what was known then, by versions that had seen nothing later, each once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from flows.backfill import backfill
from sqlalchemy import update
from tests.flows.test_forecasting import champion, scrambled, stored
from tests.project import Project, environment
from typer.testing import CliRunner

from daycast.adapters import registry, store
from daycast.cli import application
from daycast.config import dataset_only
from daycast.errors import ConfigError, HistoryError, PromotionError
from daycast.steps.backfill import plan
from daycast.steps.champion import HORIZON
from daycast.steps.data import frame
from daycast.steps.forecast import forecast
from daycast.steps.ingest import ingest
from daycast.steps.outcomes import BackfilledRef, Outcome
from daycast.steps.promote import WON_THEN
from daycast.steps.register import BASELINE, DATA_UNTIL
from daycast.steps.restore import restore
from flows import running

pytestmark = pytest.mark.xdist_group("flows")

TRAINED = date(2019, 10, 31)  # what it may see ends here
MODELS = ("model=[naive,seasonal_naive]", "seed=23")
ROWS = 14


@dataclass(frozen=True)
class Then:
    """A training as of a past day, and its version."""

    project: Project
    outcome: Outcome
    version: registry.Version


@pytest.fixture(scope="module")
def then(trained: tuple[Project, Outcome]) -> Iterator[Then]:
    project, first = trained
    assert first.champion is not None
    with environment(project.settings), champion(project, first.champion.version):
        outcome = project.train(*MODELS, as_of=TRAINED)
        name = outcome.champion.name if outcome.champion else ""
        version = next(
            v for v in registry.versions(project.settings.tracking_uri, name) if v.number == outcome.champion.version
        )
        yield Then(project, outcome, version)


def made(then: Then, first: date, last: date, **given: int) -> BackfilledRef:
    with environment(then.project.settings):
        return running.start(backfill, dataset="tiny", first=first, last=last, **given)


def rows_of(then: Then) -> pd.DataFrame:
    found = stored(then.project)
    return found[found["model_version"] == then.version.number]


def test_training_as_of_a_day_sees_nothing_later_and_says_so(then: Then) -> None:
    assert then.version.tags[DATA_UNTIL] == pd.Timestamp(TRAINED).isoformat()
    assert then.outcome.forecast is not None
    assert then.outcome.forecast.cutoff == pd.Timestamp(TRAINED).isoformat()
    assert then.outcome.data.as_of == TRAINED.isoformat()


def test_training_as_of_a_day_takes_no_champions_place_that_has_seen_later_ones(then: Then) -> None:
    assert then.outcome.champion is not None
    assert not then.outcome.champion.in_force
    assert then.outcome.forecast is not None
    assert then.outcome.forecast.served_by.version == then.version.number  # its own forecast is by what was trained
    settings = then.project.settings
    champion = registry.by_alias(settings.tracking_uri, then.version.name, "champion")
    assert champion is not None
    assert champion.number != then.version.number
    assert champion.tags[DATA_UNTIL] > then.version.tags[DATA_UNTIL]
    assert then.version.tags[WON_THEN] == then.outcome.run.run_id
    with store.opened(settings.store_url) as engine:
        assert then.version.number not in set(store.read_promotions(engine, "tiny")["to_version"])


def test_a_dry_run_does_not_promise_the_place_to_what_won_as_of_a_day(then: Then) -> None:
    with environment(then.project.settings):
        shown, told = (
            CliRunner().invoke(application(), ["promote", "dataset=tiny", "--dry-run", *more], catch_exceptions=False)
            for more in ((), ("--json",))
        )
    assert "nothing was judged: it won as of a past day, and the champion has seen later ones\n" in shown.stdout
    assert f"Champion then: {then.version.tags['daycast.model']} would be version" in shown.stdout
    assert "Champion: " not in shown.stdout
    made = json.loads(told.stdout)
    assert (made["version"]["version"], made["version"]["in_force"]) == (then.version.number, False)


def test_the_baseline_of_a_training_as_of_a_day_stands_in_for_none_that_has_seen_later_ones(
    then: Then, tmp_path: Path
) -> None:
    project, name = then.project, then.version.name
    assert BASELINE in then.version.tags
    fresh = replace(project.settings, store_url=f"sqlite:///{tmp_path}/store.db")  # nobody was champion
    with environment(project.settings):
        champion = registry.required(fresh.tracking_uri, name, "champion").number
        registry.unset_alias(fresh.tracking_uri, name, "champion")
        try:
            made = forecast(fresh, dataset_only(fresh.root, "tiny"), project.data)
        finally:
            registry.set_alias(fresh.tracking_uri, name, "champion", champion)
    assert made.role == "baseline"
    served = registry.find(fresh.tracking_uri, name, made.served_by.version)
    assert served is not None
    assert int(served.number) < int(then.version.number)
    assert served.tags[DATA_UNTIL] > then.version.tags[DATA_UNTIL]


def test_days_that_a_version_has_seen_beyond_are_not_forecast_by_it(then: Then) -> None:
    done = made(then, TRAINED - timedelta(days=2), TRAINED + timedelta(days=3))
    assert done.n_days == 6
    assert done.impossible == tuple(str(TRAINED - timedelta(days=n)) for n in (2, 1))
    assert (done.n_made, done.n_done_before) == (3, 1)  # training itself forecast from its last day
    found = rows_of(then)
    assert sorted(found["cutoff"].dt.date.unique()) == [TRAINED + timedelta(days=n) for n in range(4)]
    assert len(found) == 4 * ROWS
    assert (found["ds"] > found["cutoff"]).all()


def test_a_backfilled_forecast_is_what_the_history_of_its_day_gives(then: Then) -> None:
    made(then, TRAINED, TRAINED + timedelta(days=3))
    known = frame(then.project.settings, then.project.data).set_index(["unique_id", "ds"])["y"]
    week = pd.Timedelta(days=7)
    found = rows_of(then)
    assert then.version.tags["daycast.model"] == "seasonal_naive"
    expected = [known[row.unique_id, row.ds - week] for row in found[found["step"] <= 7].itertuples()]
    assert found.loc[found["step"] <= 7, "y_hat"].tolist() == pytest.approx(expected)


def test_a_second_backfill_makes_nothing_anew(then: Then) -> None:
    made(then, TRAINED, TRAINED + timedelta(days=3))
    before = stored(then.project)
    again = made(then, TRAINED, TRAINED + timedelta(days=3))
    assert (again.n_made, again.new_rows, again.n_done_before) == (0, 0, 4)
    pd.testing.assert_frame_equal(stored(then.project), before)


def test_days_that_were_done_from_an_earlier_version_of_the_data_stay_done(then: Then) -> None:
    made(then, TRAINED, TRAINED + timedelta(days=3))
    with store.opened(then.project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(update(store.tables.forecasts).values(data_version="0f" * 16))
    again = made(then, TRAINED, TRAINED + timedelta(days=3))
    assert (again.n_made, again.n_done_before) == (0, 4)
    with store.opened(then.project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(update(store.tables.forecasts).values(data_version=then.project.data.version))


def test_a_backfill_that_is_killed_goes_on_with_what_is_left(then: Then) -> None:
    first, last = TRAINED + timedelta(days=10), TRAINED + timedelta(days=49)
    words = ["backfill", "dataset=tiny", "--from", str(first), "--to", str(last), "--max-parallel", "1", "--json"]
    command = [sys.executable, "-m", "daycast", *words]

    def days() -> int:
        found = rows_of(then)
        return found.loc[found["cutoff"] >= pd.Timestamp(first), "cutoff"].nunique()

    with environment(then.project.settings):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
        killed = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while days() < 3:
            assert killed.poll() is None, killed.communicate()[1]
            time.sleep(0.05)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        before = days()
        assert before < 40
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["n_days"], told["n_done_before"], told["n_made"]) == (40, before, 40 - before)
    found = rows_of(then)
    assert not found.duplicated(["unique_id", "cutoff", "ds"]).any()
    assert len(found[found["cutoff"] >= pd.Timestamp(first)]) == 40 * ROWS


def test_a_plan_tells_who_would_forecast_and_changes_nothing(then: Then) -> None:
    project = then.project
    before = stored(project)
    with environment(project.settings):
        first = TRAINED + timedelta(days=60)
        planned = plan(project.settings, dataset_only(project.settings.root, "tiny"), project.data, first, first)
    assert [(one.as_of, one.version, one.done) for one in planned] == [(str(first), then.version.number, False)]
    pd.testing.assert_frame_equal(stored(project), before)


@pytest.mark.parametrize("edited", [{DATA_UNTIL: "unknown"}, {DATA_UNTIL: "2019-12-01T00:00:00Z"}, {HORIZON: "ten"}])
def test_a_version_whose_tags_were_edited_forecasts_no_past_day(then: Then, edited: dict[str, str]) -> None:
    project, before, day = then.project, then.version, TRAINED + timedelta(days=60)
    uri, dataset = project.settings.tracking_uri, dataset_only(project.settings.root, "tiny")
    registry.tag(uri, before.name, before.number, edited)
    try:
        with environment(project.settings), pytest.raises(PromotionError, match="had seen nothing after"):
            plan(project.settings, dataset, project.data, day, day)
    finally:
        registry.tag(uri, before.name, before.number, {name: before.tags[name] for name in edited})


def test_a_range_before_every_version_says_what_to_train(then: Then) -> None:
    with pytest.raises(PromotionError, match="--as-of 2019-01-01") as error:
        made(then, date(2019, 1, 1), date(2019, 1, 3))
    assert "2019-10-31" in error.value.found


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [(date(2019, 5, 2), date(2019, 5, 1), "up to 2019-05-01"), (date(2031, 1, 1), date(2031, 2, 1), "observations")],
)
def test_a_range_without_days_is_refused(then: Then, first: date, last: date, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        made(then, first, last)


def test_training_as_of_a_day_before_all_data_is_refused(then: Then) -> None:
    with environment(then.project.settings), pytest.raises(HistoryError, match="an observation by 1999-01-01"):
        then.project.train(*MODELS, as_of=date(1999, 1, 1))


# The last one: its version may forecast more days than the one above.
def test_training_as_of_a_day_does_not_move_by_a_bit_when_all_later_data_are_scrambled(
    then: Then, trained: tuple[Project, Outcome], tmp_path: Path
) -> None:
    project, given = then.project, ("model=[naive,seasonal_naive,gru]", "seed=29")
    day = date(2019, 10, 15)  # the last one that `scrambled` leaves alone
    with environment(project.settings):
        challenger = registry.required(project.settings.tracking_uri, then.version.name, "challenger")
        before = project.train(*given, as_of=day)
        ingest(project.settings, "tiny", from_file=scrambled(project, tmp_path))
        try:
            after = project.train(*given, as_of=day)
        finally:
            restore(project.settings, trained[1].run.run_id)
    assert after.data.version != before.data.version
    assert [t.value for t in after.tuned] == [t.value for t in before.tuned]
    assert before.forecast is not None
    assert after.forecast is not None
    first, second = (pd.read_csv(one.forecast.rows) for one in (before, after))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert before.champion is not None
    assert after.champion is not None
    assert after.champion.model == before.champion.model
    kept = registry.required(project.settings.tracking_uri, then.version.name, "challenger")
    assert kept.number == challenger.number  # it has seen later days
    assert challenger.tags[DATA_UNTIL] > day.isoformat()
