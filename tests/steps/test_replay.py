"""A pipeline's life lived anew, over a level that breaks: real trainings, the real gate, killed and gone on with."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.project import Project, environment

from daycast.adapters import registry, store
from daycast.config import Config
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import champion, diary, replay, serving
from daycast.steps.data import arrays, frame
from daycast.steps.diary import Day
from daycast.steps.outcomes import ReplayedRef
from daycast.steps.reference import DataRef
from daycast.steps.stretches import observed

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.timeout(900)]

FIRST, BREAK, LAST = date(2019, 6, 3), date(2019, 6, 5), date(2019, 6, 21)
SEEN = date(2019, 6, 16)  # after it, the other life's data are nonsense
FEWER = "0.3"  # of the level, from BREAK on
OVERRIDES = (
    "model=[seasonal_naive,lightgbm]",
    *("backtest.n_targets=21", "backtest.step_size=1", "backtest.n_folds=1", "tuning=none"),
    *("promotion=living", "promotion.champion.coverage=[0,1]", "promotion.champion.least_origins=3"),
    *("monitoring.retrain.cool_down=5", "monitoring.retrain.max_age=90"),
    "monitoring.retrain.least=3",
)


@dataclass
class Lived:
    """A replay that is over."""

    made: ReplayedRef
    days: list[Day]
    settings: Settings  # of its own state
    data: DataRef

    def rows(self) -> pd.DataFrame:
        """What it stored, but for when."""
        with store.opened(self.settings.store_url) as engine:
            found = store.read_forecasts(engine, "tiny")
        return found.drop(columns=["id", "made_at", "run_id", "data_version", "git_commit"])


def version(project: Project, changed: pd.DataFrame) -> DataRef:
    """A version of the data with these rows, in DVC's cache like any other."""
    part = project.settings.state / "changed.parquet"
    changed.to_parquet(part, index=False)
    md5 = hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest()
    target = project.settings.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    return project.data.model_copy(update={"version": md5})


def broken(project: Project) -> pd.DataFrame:
    """The data, on a fraction of their level from ``BREAK`` on."""
    told = frame(project.settings, project.data)
    return told.assign(y=told["y"].where(told["ds"] < pd.Timestamp(BREAK), told["y"] * float(FEWER)))


def by_hand(rows: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """The rows that have matured, with ``y`` and ``naive``; of a horizon of one season."""
    known = actuals.dropna(subset="y")[["unique_id", "ds", "y"]]
    week = known.assign(ds=known["ds"] + pd.Timedelta(days=7)).rename(columns={"y": "naive"})
    return rows.merge(known).merge(week)


def lived(project: Project, config: Config, data: DataRef, last: date) -> Lived:
    made = replay.replay(project.settings, config, data, FIRST, last)
    folder = replay.place(project.settings, config, data, FIRST)
    return Lived(made, diary.read(folder / replay.DIARY), replay.isolated(project.settings, folder), data)


@pytest.fixture(scope="module")
def config(trained: tuple[Project, object]) -> Config:
    return trained[0].config(*OVERRIDES)


@pytest.fixture(scope="module")
def before(trained: tuple[Project, object]) -> dict[str, object]:
    """What the user's own pipeline was like before any replay."""
    return theirs(trained[0])


@pytest.fixture(scope="module")
def life(trained: tuple[Project, object], config: Config, before: dict[str, object]) -> Iterator[Lived]:
    assert before
    with environment(trained[0].settings):
        yield lived(trained[0], config, version(trained[0], broken(trained[0])), LAST)


@pytest.fixture(scope="module")
def killed(trained: tuple[Project, object], config: Config) -> Iterator[Lived]:
    """The same life up to ``SEEN``, of data that are nonsense after that day, killed twice on its way."""
    project = trained[0]
    with environment(project.settings):
        told = broken(project)
        later = told["ds"] > pd.Timestamp(SEEN)
        noise = np.random.default_rng(1).permutation(told.loc[later, "y"].to_numpy()) * 7 + 1e6
        data = version(project, told.assign(y=told["y"].mask(later, pd.Series(noise, told.index[later]))))
        folder = replay.place(project.settings, config, data, FIRST)
        given = project.settings, config, data, FIRST, SEEN
        kill((*given, 2), lambda: (folder / "mlflow.db").is_file())  # in its first training, by processes of its own
        kill(given, lambda: len(diary.read(folder / replay.DIARY)) > 4)
        assert len(diary.read(folder / replay.DIARY)) < (SEEN - FIRST).days
        yield lived(project, config, data, SEEN)


def kill(given: tuple[object, ...], when: Callable[[], bool]) -> None:
    """Begin a replay in a process, and kill that when it has come so far."""
    process = multiprocessing.get_context("spawn").Process(target=replay.replay, args=given)
    process.start()
    until = time.monotonic() + 240
    while not when() and time.monotonic() < until:
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def theirs(project: Project) -> dict[str, object]:
    """The user's champion, its history, their forecasts, and the data in force."""
    with store.opened(project.settings.store_url) as engine:
        rows = len(store.read_forecasts(engine, "tiny"))
    versions = [(v.number, v.aliases) for v in registry.versions(project.settings.tracking_uri, "daycast-tiny")]
    return {
        "rows": rows,
        "versions": versions,
        "moves": len(champion.moves(project.settings, "tiny")),
        "data": project.data.version,
    }


def test_every_day_is_lived_once_and_forecast_by_the_champion_of_the_evening_before(life: Lived) -> None:
    assert [d.day for d in life.days[1:]] == [d.date() for d in pd.date_range(FIRST, LAST)]
    assert [d.forecast_by for d in life.days[1:]] == [d.standing.champion for d in life.days[:-1]]
    rows = life.rows()
    assert len(rows) == life.made.n_days * 7 * 2
    by = rows.groupby(rows["cutoff"].dt.date)["model_version"].unique()
    assert {day: list(found) for day, found in by.items()} == {d.day: [d.forecast_by] for d in life.days[1:]}


def test_what_a_day_stores_is_what_the_daily_forecast_makes_from_the_data_as_they_stood(life: Lived) -> None:
    rows = life.rows()
    for day in (life.days[1], life.days[5], life.days[-1]):
        loaded = registry.load(life.settings.tracking_uri, "daycast-tiny", str(day.forecast_by))
        served = serving.of_version(loaded.folder)
        then = arrays(life.settings, served.spec, life.data.until(day.day))
        expected = serving.from_table(served, then, 7).sort_values(["unique_id", "ds"], ignore_index=True)
        own = rows[rows["cutoff"].dt.date == day.day].sort_values(["unique_id", "ds"], ignore_index=True)
        pd.testing.assert_series_equal(own["y_hat"], expected["y_hat"], check_exact=True)
        assert own["quantiles"][0]["0.9"] == expected["q0.9"][0]


def test_a_break_raises_an_alarm_trains_and_never_twice_in_a_cool_down(life: Lived) -> None:
    events = [event for day in life.days for event in day.events]
    alarms = [event.day for event in events if event.kind == "alarm"]
    trainings = [event.day for event in events if event.trained is not None]
    assert alarms
    assert alarms[0] > BREAK
    assert any((event.trained or "").startswith("alarm") for event in events)
    assert len(trainings) >= 2
    assert all((b - a).days >= 5 for a, b in pairwise(trainings))


def test_the_history_of_champions_is_the_one_that_was_lived(life: Lived) -> None:
    moves = champion.moves(life.settings, "tiny")
    events = [event for day in life.days for event in day.events if event.kind in ("promotion", "rollback")]
    assert moves["to_version"].tolist() == [event.version for event in events]
    assert moves["kind"].tolist() == [event.kind for event in events]
    standing = registry.by_alias(life.settings.tracking_uri, "daycast-tiny", "champion")
    assert standing is not None
    assert standing.number == life.days[-1].standing.champion


def test_errors_are_those_of_all_rows_that_matured_and_the_same_rows_for_all_three(life: Lived) -> None:
    rows = pd.read_csv(life.made.rows, parse_dates=["cutoff", "ds"], dtype={"model_version": str})
    stored = life.rows()
    actuals = frame(life.settings, life.data)
    expected = by_hand(stored, actuals[actuals["ds"] <= pd.Timestamp(LAST)])
    assert len(rows) == len(expected) == life.made.n_rows
    assert life.made.living == pytest.approx((expected["y_hat"] - expected["y"]).abs().mean())
    assert life.made.naive == pytest.approx((expected["naive"] - expected["y"]).abs().mean())
    first = rows[rows["model_version"] == life.days[0].standing.champion]
    assert len(first)
    assert (first["living"] == first["frozen"]).all()
    assert life.made.skill_frozen == pytest.approx(1 - life.made.living / life.made.frozen)


def test_the_report_shows_every_month_every_event_and_a_picture(life: Lived) -> None:
    text = Path(life.made.report).read_text()
    assert "| 2019-06 |" in text
    assert sum(line.startswith("| 2019-06-") for line in text.splitlines()) == sum(len(d.events) for d in life.days)
    assert Path(life.made.picture).stat().st_size > 20_000
    assert len(pd.read_csv(life.made.events)) == sum(len(d.events) for d in life.days)


def test_a_killed_replay_goes_on_and_nothing_after_a_day_had_a_say_in_it(life: Lived, killed: Lived) -> None:
    known = (SEEN - FIRST).days + 2
    assert killed.days == life.days[:known]  # trainings, figures of the gate, alarms and reasons among them
    assert any(event.trained for day in killed.days[1:] for event in day.events)
    both = [one.rows()[lambda r: r["cutoff"] <= pd.Timestamp(SEEN)].reset_index(drop=True) for one in (life, killed)]
    assert len(both[1]) == len(killed.rows())
    pd.testing.assert_frame_equal(*both, check_exact=True)


def test_the_life_of_the_user_goes_on_untouched(
    project: Project, before: dict[str, object], life: Lived, killed: Lived
) -> None:
    assert life.days
    assert killed.days
    assert theirs(project) == before


def test_a_replay_that_is_over_is_not_lived_again(project: Project, config: Config, life: Lived) -> None:
    began = time.monotonic()
    again = lived(project, config, life.data, LAST)
    assert time.monotonic() - began < 30
    assert (again.made, again.days) == (life.made, life.days)


def test_a_plan_says_what_is_done_and_changes_nothing(project: Project, config: Config, life: Lived) -> None:
    plan = replay.plan(project.settings, config, life.data, FIRST, date(2019, 7, 3))
    assert (plan.n_days, plan.n_done, plan.first_training) == (31, 19, "2019-06-02")
    other = replay.plan(project.settings, config, life.data, date(2019, 6, 4), LAST)
    assert other.n_done == 0
    assert not Path(other.folder).exists()


def test_a_range_without_data_is_refused(project: Project, config: Config) -> None:
    known = arrays(project.settings, config.dataset.spec(), project.data)
    begin = observed(known)[0].date()
    for first, last in ((begin, LAST), (date(2031, 1, 1), date(2031, 2, 1))):
        with pytest.raises(ConfigError, match="two days or more inside the observations"):
            replay.replay(project.settings, config, project.data, first, last)
