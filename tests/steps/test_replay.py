"""A pipeline's life lived anew, over a level that falls and comes back: real trainings, gate and trial, and kills."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.project import Project, environment

from daycast.adapters import registry, store
from daycast.config import Config
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import champion, diary, replay, rollback, serving, train
from daycast.steps.data import arrays, frame
from daycast.steps.diary import Day, Event
from daycast.steps.outcomes import ReplayedRef
from daycast.steps.reference import DataRef
from daycast.steps.stretches import observed

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.timeout(900)]

FIRST, BREAK, LAST = date(2019, 6, 3), date(2019, 6, 5), date(2019, 6, 23)
SEEN = date(2019, 6, 20)  # after it, the other life's data are nonsense
# The level, from a day on: what is promoted after a week and a half of the fall is wrong when the level comes back.
LEVELS = {BREAK: 0.3, date(2019, 6, 16): 1.0, date(2019, 6, 20): 0.3}
OVERRIDES = (
    "model=[seasonal_naive,lightgbm]",
    *("backtest.n_targets=14", "backtest.step_size=1", "backtest.n_folds=1", "tuning=none"),
    *("promotion=living", "promotion.champion.coverage=[0,1]", "promotion.champion.step_worse=9"),
    *("promotion.champion.origins=8", "promotion.champion.least_origins=3", "promotion.champion.margin=0"),
    *("monitoring.retrain.cool_down=4", "monitoring.retrain.back_off=1", "monitoring.retrain.max_age=90"),
    *("monitoring.retrain.least=3", "monitoring.retrain.worse=0"),
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

    def events(self, *kinds: str) -> list[Event]:
        """What happened, of these kinds."""
        return [event for day in self.days for event in day.events if event.kind in kinds]

    def moves(self) -> list[list[str]]:
        """The history of its champions, but for when."""
        lines = champion.moves(self.settings, "tiny")
        return lines[["kind", "from_version", "to_version", "reason"]].to_numpy().tolist()


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
    """The data, on ``LEVELS``."""
    told = frame(project.settings, project.data)
    level = pd.Series(1.0, told.index)
    for day, share in LEVELS.items():
        level[told["ds"] >= pd.Timestamp(day)] = share
    return told.assign(y=told["y"] * level)


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
    """The same life up to ``SEEN``, of data that are nonsense after that day, killed three times on its way."""
    project = trained[0]
    with environment(project.settings):
        told = broken(project)
        later = told["ds"] > pd.Timestamp(SEEN)
        noise = np.random.default_rng(1).permutation(told.loc[later, "y"].to_numpy()) * 7 + 1e6
        data = version(project, told.assign(y=told["y"].mask(later, pd.Series(noise, told.index[later]))))
        folder = replay.place(project.settings, config, data, FIRST)
        given = project.settings, config, data, FIRST, SEEN
        kill((*given, 2), lambda: training(folder / "mlflow.db"))  # the first one, by processes of its own
        own = replay.isolated(project.settings, folder)
        for point, n_lines in (("alias", 0), ("line", 1)):  # gone on with after the first, it comes to the second
            assert died(dying_in_a_rollback, point, given)
            days, moves = diary.read(folder / replay.DIARY), champion.moves(own, "tiny")
            back = registry.by_alias(own.tracking_uri, "daycast-tiny", "champion")
            assert moves["kind"].tolist().count("rollback") == n_lines
            assert back is not None
            assert back.number != days[-1].standing.champion  # a rollback that the diary has not heard of
        yield lived(project, config, data, SEEN)


def training(file: Path) -> bool:
    """Whether a run has begun."""
    if not file.is_file():
        return False
    with closing(sqlite3.connect(file)) as there:
        return there.execute("SELECT count(*) FROM runs").fetchone() != (0,)


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


def died(target: Callable[..., None], point: str, given: tuple[object, ...]) -> bool:
    """Live in a process that is killed at a point; whether it came to that."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=(point, *given))
    process.start()
    process.join(240)
    return process.exitcode == -signal.SIGKILL


def dying_in_a_rollback(point: str, *given: Any) -> None:
    """A replay that dies in its first rollback, between alias and line, or between the line and the diary's."""
    roll_back, set_alias = rollback.rollback, registry.set_alias

    def then_die(*told: str) -> None:
        set_alias(*told)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patched:

        def rolled_back(*told: Any, **named: Any) -> None:
            if point == "alias":
                patched.setattr(registry, "set_alias", then_die)
            roll_back(*told, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        patched.setattr(rollback, "rollback", rolled_back)
        replay.replay(*given)


def dying_in_its_beginning(point: str, *given: Any) -> None:
    """A replay that dies as its first champion is made: before the move's line, or before the diary's."""
    set_alias = registry.set_alias

    def then_die(uri: str, name: str, alias: str, number: str) -> None:
        set_alias(uri, name, alias, number)
        if alias == "champion":
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patched:
        if point == "alias":
            patched.setattr(registry, "set_alias", then_die)
        else:
            patched.setattr(diary, "append", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        replay.replay(*given)


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
    for day in {day.forecast_by: day for day in life.days[1:]}.values():
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
    assert all((b - a).days >= 4 for a, b in pairwise(trainings))


def test_alarms_are_counted_as_the_episodes_that_people_are_told_of(
    life: Lived, config: Config, tmp_path: Path
) -> None:
    raised = [day.day for day in life.days if day.standing.alarmed == day.day]
    assert any(1 < (b - a).days <= config.monitoring.calm_days for a, b in pairwise(raised))  # a quiet day between
    with store.opened(f"sqlite:///{tmp_path}/store.db") as engine:
        for day in life.days[1:]:
            seen = {"forecasts": [{"name": "error"}] if day.day in raised else []}
            store.follow_alarms(engine, "tiny", day.day, seen, timedelta(days=config.monitoring.calm_days))
        with engine.connect() as connection:
            began = [row.began for row in connection.execute(store.tables.alarm_episodes.select())]
    assert [event.day for event in life.events("alarm")] == began
    assert life.made.n_alarms == len(began)


def test_a_promotion_changes_who_forecasts_and_a_failed_trial_changes_it_back(life: Lived) -> None:
    (back,) = life.events("rollback")
    promoted = [event for event in life.events("promotion") if event.day < back.day][-1]
    spells = [version for version, _ in groupby(day.forecast_by for day in life.days[1:])]
    at = spells.index(promoted.version)
    assert at > 0  # somebody else forecast before it
    assert spells[at - 1] == spells[at + 1] == back.version
    assert [d.day for d in life.days if d.forecast_by == promoted.version] == [
        d.date() for d in pd.date_range(promoted.day, back.day)[1:]
    ]
    actuals = frame(life.settings, life.data)
    come = by_hand(life.rows(), actuals[actuals["ds"] <= pd.Timestamp(back.day)])
    own = come[come["model_version"] == promoted.version]
    error, days = (own["y_hat"] - own["y"]).abs().mean(), own["ds"].nunique()
    assert back.reason.startswith(f"since {promoted.day}, on {days} days, MAE {error:,.4g} against ")


def test_a_life_that_learns_does_better_than_its_first_champion_frozen(life: Lived) -> None:
    rows = pd.read_csv(life.made.rows, dtype={"model_version": str})
    others = rows[rows["model_version"] != life.days[0].standing.champion]
    assert (others["living"] != others["frozen"]).mean() > 0.9
    assert life.made.living < 0.95 * life.made.frozen
    assert life.made.skill_frozen > 0.05


def test_the_history_of_champions_is_the_one_that_was_lived(life: Lived) -> None:
    events = life.events("promotion", "rollback")
    assert [[kind, to] for kind, _, to, _ in life.moves()] == [[event.kind, event.version] for event in events]
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
    assert len(killed.events("rollback")) == 1
    assert len({day.forecast_by for day in killed.days[1:]}) > 1
    assert killed.moves() == life.moves()[: len(killed.moves())]
    assert len(killed.moves()) == len(killed.events("promotion", "rollback"))
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
    assert (plan.n_days, plan.n_done, plan.first_training) == (31, 21, "2019-06-02")
    other = replay.plan(project.settings, config, life.data, date(2019, 6, 4), LAST)
    assert other.n_done == 0
    assert not Path(other.folder).exists()


def test_a_range_without_data_is_refused(project: Project, config: Config) -> None:
    known = arrays(project.settings, config.dataset.spec(), project.data)
    begin = observed(known)[0].date()
    for first, last in ((begin, LAST), (date(2031, 1, 1), date(2031, 2, 1))):
        with pytest.raises(ConfigError, match="two days or more inside the observations"):
            replay.replay(project.settings, config, project.data, first, last)


def test_a_life_that_is_being_lived_is_not_lived_by_another_process_too(project: Project) -> None:
    config, last = project.config("model=[seasonal_naive]", *OVERRIDES[1:]), date(2019, 6, 8)
    given = project.settings, config, project.data, FIRST, last
    folder = replay.place(project.settings, config, project.data, FIRST)
    process = multiprocessing.get_context("spawn").Process(target=replay.replay, args=given)
    process.start()
    until = time.monotonic() + 120
    while not diary.read(folder / replay.DIARY) and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(ConfigError, match="nobody else at the replay"):
        replay.replay(*given)
    assert process.is_alive()
    process.join(240)
    assert process.exitcode == 0
    days = [day.day for day in diary.read(folder / replay.DIARY)]
    assert days == [d.date() for d in pd.date_range("2019-06-02", last)]


@pytest.mark.parametrize("point", ["alias", "diary"])
def test_a_replay_that_is_killed_as_a_baseline_takes_a_refused_winner_s_place_goes_on(
    project: Project, point: str
) -> None:
    seed = f"seed={['alias', 'diary'].index(point)}"  # a replay of its own
    never = "promotion.champion.coverage=[0.999,1]"  # asked of the winner alone
    config = project.config(*(o for o in OVERRIDES if "coverage" not in o), never, seed)
    given = project.settings, config, project.data, FIRST, date(2019, 6, 4)
    own = replay.isolated(project.settings, replay.place(*given[:4]))
    assert died(dying_in_its_beginning, point, given)
    standing = registry.required(own.tracking_uri, "daycast-tiny", "champion")
    assert standing.tags["daycast.model"] == "seasonal_naive"
    assert len(champion.moves(own, "tiny")) == (0 if point == "alias" else 1)
    made = lived(project, config, project.data, date(2019, 6, 4))
    assert [d.day for d in made.days] == [date(2019, 6, 2), FIRST, date(2019, 6, 4)]
    assert made.days[0].standing.champion == standing.number
    assert [(e.kind, e.version, e.model) for e in made.days[0].events] == [
        ("promotion", standing.number, "seasonal_naive")
    ]
    assert [line[:3] for line in made.moves()] == [["promotion", None, standing.number]]
    assert made.moves()[0][3].startswith("the best baseline, as there is no champion and lightgbm failed: ")


def test_a_replay_s_versions_are_of_its_own_runs_while_another_registers_the_same_models(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data = project.config("model=[seasonal_naive]", *OVERRIDES[1:]), project.data.until(date(2019, 6, 2))
    one, other = (replay.isolated(project.settings, project.settings.state / "replay" / n) for n in ("one", "other"))
    register = registry.register

    def after_the_other(*given: Any) -> registry.Version:
        monkeypatch.setattr(registry, "register", register)
        train.train(other, config, data)
        return register(*given)

    monkeypatch.setattr(registry, "register", after_the_other)
    train.train(one, config, data)
    for own in (one, other):
        (made,) = registry.versions(own.tracking_uri, "daycast-tiny")
        folder = registry.load(own.tracking_uri, "daycast-tiny", made.number).folder
        assert made.tags["daycast.run_id"] in (folder / "artifacts" / "card.md").read_text()
