"""Errors, the ledger and episodes of alarms in the store, on real SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, func, select, text

from daycast.adapters import store
from daycast.adapters.store import revisions, tables
from daycast.core import ledger
from daycast.core.frame import FrameSpec, Panel, table
from daycast.core.lineage import Lineage
from tests.adapters import postgres

DAYS = pd.date_range("2024-01-01", periods=60)
LATE = timedelta(days=10)
LINEAGE = Lineage("data1", "commit1", "config1", "run1")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'forecasts.db'}"
    else:
        url = request.getfixturevalue("postgresql")
    with store.opened(url) as opened:
        yield opened
        tables.metadata.drop_all(opened)
        with opened.begin() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {revisions.TABLE}"))


def panel(until: int, changed: dict[int, float] | None = None) -> Panel:
    """Two series up to the day of that number, some values of rail's not what they would be."""
    parts = []
    for name, scale in (("bus", 1.0), ("rail", 2.0)):
        y = scale * (100 + np.arange(60.0))
        for day, value in (changed or {}).items() if name == "rail" else ():
            y[day] = value
        parts.append(pd.DataFrame({"unique_id": name, "ds": DAYS, "y": y}).iloc[: until + 1])
    return table(pd.concat(parts), FrameSpec("D", 7)).panel


def write(engine: Engine, cutoffs: list[int], horizon: int = 3, version: str = "1", lineage: Lineage = LINEAGE) -> int:
    rows = [
        (name, DAYS[cutoff], DAYS[cutoff + step], step, 100.0 * scale, 90.0 * scale, 400.0)
        for cutoff in cutoffs
        for name, scale in (("bus", 1.0), ("rail", 2.0))
        for step in range(1, horizon + 1)
    ]
    names = ["unique_id", "cutoff", "ds", "step", "y_hat", "q0.1", "q0.9"]
    return store.write_forecasts(engine, "cta", pd.DataFrame(rows, columns=names), ("mine", version), lineage)


def judge(engine: Engine, known: Panel, version: str = "data1") -> tuple[int, int]:
    return store.judge(engine, "cta", known.cutoff, LATE, version, lambda rows: ledger.judged(rows, known))


def errors(engine: Engine) -> pd.DataFrame:
    joined = select(tables.forecasts, tables.errors).join(
        tables.errors, tables.errors.c.forecast_id == tables.forecasts.c.id
    )
    return pd.read_sql(joined, engine)


def test_a_row_gets_its_error_once_when_its_value_has_come(engine: Engine) -> None:
    write(engine, [20, 21])
    assert judge(engine, panel(21)) == (2, 0)  # the first step of the first cutoff
    assert judge(engine, panel(21)) == (0, 0)
    assert judge(engine, panel(23)) == (8, 0)
    found = errors(engine)
    assert len(found) == 10
    assert (found["error"] == found["y_hat"] - found["y"]).all()
    rail = found[(found["unique_id"] == "rail") & (found["ds"] == DAYS[22])]
    assert rail["y"].tolist() == [244.0, 244.0]
    assert rail["naive"].tolist() == [230.0, 230.0]
    assert rail["inside_80"].tolist() == [1, 1]
    assert rail["inside_95"].isna().all()


def test_the_ledger_is_the_sum_of_the_errors(engine: Engine) -> None:
    write(engine, [20, 21, 22])
    for day in (21, 22, 25):
        judge(engine, panel(day))
    rows = errors(engine)
    told = ledger.told(store.read_ledger(engine, "cta"), ["cutoff", "step"])
    by_hand = rows.assign(missed=rows["error"].abs()).groupby(["cutoff", "step"])["missed"].agg(["size", "mean"])
    assert told["n"].tolist() == by_hand["size"].tolist() == [2] * 9
    assert told["mae"].to_numpy() == pytest.approx(by_hand["mean"].to_numpy())
    naive = (rows["naive"] - rows["y"]).abs().groupby([rows["cutoff"], rows["step"]]).mean()
    assert told["skill"].to_numpy() == pytest.approx(1 - by_hand["mean"].to_numpy() / naive.to_numpy())
    assert store.read_ledger(engine, "cta", DAYS[23])["ds"].min() == DAYS[23]
    assert store.read_ledger(engine, "other").empty


def test_a_revised_value_is_judged_anew_and_what_it_was_first_is_kept(engine: Engine) -> None:
    write(engine, [20, 21])
    judge(engine, panel(24))
    assert judge(engine, panel(24, {22: 500.0}), "data2") == (0, 2)  # of rail, from both cutoffs
    assert judge(engine, panel(24, {22: 500.0}), "data2") == (0, 0)
    found = errors(engine)
    revised = found[found["revised_at"].notna()]
    assert (revised["unique_id"] + revised["ds"].dt.strftime(" %m-%d")).unique().tolist() == ["rail 01-23"]
    assert revised["first_y"].tolist() == [244.0, 244.0]
    assert revised["y"].tolist() == [500.0, 500.0]
    assert set(found.loc[found["revised_at"].isna(), "first_y"].isna()) == {True}
    told = ledger.told(store.read_ledger(engine, "cta"), ["ds"]).set_index("ds")
    assert told.loc[DAYS[22], "mae"] == pytest.approx((22 + 300) / 2)


def test_a_value_revised_long_after_its_day_stays_as_it_was_judged(engine: Engine) -> None:
    write(engine, [20])
    judge(engine, panel(24))
    assert judge(engine, panel(40, {22: 500.0})) == (0, 0)
    assert errors(engine)["first_y"].isna().all()


def test_a_value_that_comes_late_is_judged_when_it_comes(engine: Engine) -> None:
    write(engine, [20])
    assert judge(engine, panel(25, {22: np.nan})) == (5, 0)
    assert judge(engine, panel(27)) == (1, 0)


def test_forecasts_of_long_ago_that_are_written_today_are_judged(engine: Engine) -> None:
    write(engine, [45])
    judge(engine, panel(50))
    write(engine, [10])  # a backfill
    assert judge(engine, panel(50)) == (6, 0)
    write(engine, [11])
    assert judge(engine, panel(30)) == (6, 0)  # as of a day before
    write(engine, [12])
    assert judge(engine, panel(50)) == (6, 0)


def test_of_a_forecast_made_of_two_data_versions_the_last_one_is_in_the_ledger(engine: Engine) -> None:
    write(engine, [20])
    assert write(engine, [20], lineage=Lineage("data2", "commit1", "config1", "run1")) == 6
    assert judge(engine, panel(30)) == (12, 0)  # each row has its error
    assert store.read_ledger(engine, "cta")["n"].tolist() == [2, 2, 2]


def test_the_version_that_served_is_told_by_what_was_known_not_by_the_clock(engine: Engine) -> None:
    write(engine, [20])
    write(engine, [20], version="2")  # all long after these days: data come late
    assert judge(engine, panel(30), "data2") == (12, 0)
    write(engine, [20], version="3", lineage=Lineage("data2", "commit1", "config1", "run1"))  # a backfill
    assert judge(engine, panel(30), "data2") == (6, 0)
    assert served(engine) == ["2"] * 3


def served(engine: Engine) -> list[str]:
    """Versions of the rows that count; each is of both series."""
    known, moves = store.witnessed(engine, "cta"), store.read_promotions(engine, "cta")
    found = ledger.serving(store.read_ledger(engine, "cta"), *known, moves)
    assert set(found["n"]) == {2}
    return list(found["model_version"])


def test_after_a_rollback_the_version_that_forecast_before_serves_again(engine: Engine) -> None:
    for version, kind, before in (("1", "promotion", None), ("2", "promotion", "1"), ("1", "rollback", "2")):
        with store.moving(engine, "cta") as turn:
            turn.append(store.Move(kind, LINEAGE.run_id, before, version, {}, "me", "a reason"))
        assert write(engine, [20], version=version) == (0 if kind == "rollback" else 6)
    assert judge(engine, panel(30), "data2") == (12, 0)
    assert served(engine) == ["1"] * 3


def test_two_monitors_at_once_judge_each_row_once(engine: Engine) -> None:
    write(engine, list(range(10, 40)))
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: judge(engine, panel(50)), range(4)))
    assert sum(new for new, _ in counts) == 180
    assert len(errors(engine)) == 180
    assert store.read_ledger(engine, "cta")["n"].sum() == 180


def test_a_monitor_that_died_between_two_days_is_made_up_for(engine: Engine) -> None:
    write(engine, list(range(10, 20)))
    known, calls = panel(30), 0

    def dies(rows: pd.DataFrame) -> pd.DataFrame:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return ledger.judged(rows, known)

    with pytest.raises(KeyboardInterrupt):
        store.judge(engine, "cta", known.cutoff, LATE, "data1", dies)
    done = len(errors(engine))
    assert 0 < done < 60
    assert store.read_ledger(engine, "cta")["n"].sum() == done
    assert judge(engine, known) == (60 - done, 0)
    assert store.read_ledger(engine, "cta")["n"].sum() == 60


def test_old_days_are_not_looked_at_again(engine: Engine) -> None:
    write(engine, [20, 45])
    judge(engine, panel(50))
    with engine.begin() as connection:
        connection.execute(tables.errors.delete())  # what is looked at gets its error again
        connection.execute(tables.ledger_marks.update().values(forecast_id=10**9))
    assert judge(engine, panel(50)) == (6, 0)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.errors)).scalar_one() == 6


def test_the_worst_series_comes_first_by_its_share_not_by_its_size(engine: Engine) -> None:
    write(engine, [20])
    judge(engine, panel(30, {21: 203.0}))
    days = DAYS[21], DAYS[23]
    worst = store.worst_series(engine, "cta", ("1", LINEAGE.run_id), days, 5)
    assert worst["unique_id"].tolist() == ["bus", "rail"]
    assert worst["mae"].tolist() == pytest.approx([22.0, (3 + 44 + 46) / 3])
    assert worst["share"].tolist() == pytest.approx([22 / 122, (3 + 44 + 46) / (203 + 244 + 246)])
    assert store.worst_series(engine, "cta", ("2", LINEAGE.run_id), days, 5).empty


DAY, CALM, REMIND = date(2024, 1, 1), timedelta(days=3), timedelta(days=7)
ALARM = {"name": "error", "cause": "four times the usual"}


def followed(engine: Engine, day: int, raised: bool) -> list[str]:
    """What is to be told on a day, and told."""
    today = DAY + timedelta(days=day)
    store.follow_alarms(engine, "cta", today, {"forecasts": [ALARM] if raised else [], "data": []}, CALM)
    due = store.untold(engine, "cta", today, REMIND)
    for one in due:
        assert one.seen == [ALARM]
        store.mark_told(engine, one, today)
    return [one.event for one in due]


def test_an_episode_is_told_when_it_begins_when_it_goes_on_for_long_and_when_it_ends(engine: Engine) -> None:
    days = {day: followed(engine, day, day in range(2, 13)) for day in range(20)}
    told = {day: events for day, events in days.items() if events}
    assert told == {2: ["began"], 9: ["goes on"], 15: ["ended"]}


def test_an_alarm_that_comes_back_before_it_is_over_is_the_same_episode(engine: Engine) -> None:
    days = {day: followed(engine, day, day in (2, 4, 5, 7)) for day in range(14)}
    assert {day: events for day, events in days.items() if events} == {2: ["began"], 10: ["ended"]}
    assert followed(engine, 20, True) == ["began"]


def test_doing_it_again_on_a_day_tells_nobody_twice_and_what_was_not_told_is_told_next(engine: Engine) -> None:
    store.follow_alarms(engine, "cta", DAY, {"forecasts": [ALARM]}, CALM)
    (first,) = store.untold(engine, "cta", DAY, REMIND)
    (again,) = store.untold(engine, "cta", DAY, REMIND)  # telling failed
    assert first == again
    store.mark_told(engine, again, DAY)
    store.follow_alarms(engine, "cta", DAY, {"forecasts": [ALARM]}, CALM)
    assert store.untold(engine, "cta", DAY, REMIND) == ()


@pytest.mark.parametrize("ahead", [3, 7, 8])
def test_a_clock_that_ran_some_days_ahead_silences_no_alarm_of_the_days_before(engine: Engine, ahead: int) -> None:
    assert followed(engine, ahead, True) == ["began"]
    assert followed(engine, 0, True) == ["began"]  # what was told bore a wrong day
    for day in range(1, 7):
        assert followed(engine, day, True) == []
        going = store.going_on(engine, "cta", "forecasts")
        assert going is not None
        assert going.last == DAY + timedelta(days=day)


@pytest.mark.parametrize("raised_before", [(), range(3), range(10)])
def test_a_clock_that_ran_ahead_once_silences_no_later_alarm(engine: Engine, raised_before: Sequence[int]) -> None:
    for day in range(10):
        followed(engine, day, day in raised_before)
    followed(engine, 1000, True)
    assert followed(engine, 10, True) == ["began"]
    assert followed(engine, 10, True) == []
    going = store.going_on(engine, "cta", "forecasts")
    assert going is not None
    assert going.last == DAY + timedelta(days=10)
    assert going.began == DAY + timedelta(days=0 if len(raised_before) == 10 else 10)
    days = {day: followed(engine, day, day < 20) for day in range(11, 30)}
    assert {day: events for day, events in days.items() if events} == {17: ["goes on"], 22: ["ended"]}
    assert followed(engine, 40, True) == ["began"]
    assert followed(engine, 1000, True) == ["goes on"]  # when that day comes, it is one as any other


def test_an_alarm_that_a_clock_ahead_saw_and_nobody_else_is_over_after_the_calm(engine: Engine) -> None:
    followed(engine, 1000, True)
    days = {day: followed(engine, day, False) for day in range(10)}
    assert {day: events for day, events in days.items() if events} == {3: ["ended"]}


def test_clocks_that_ran_ahead_again_and_again_on_one_day_stop_nothing(engine: Engine) -> None:
    followed(engine, 0, True)
    followed(engine, 1000, False)
    followed(engine, 2000, True)
    assert followed(engine, 0, True) == ["began"]
    assert [followed(engine, day, True) for day in (1, 2, 7)] == [[], [], ["goes on"]]


def test_a_day_or_two_before_the_newest_changes_nothing(engine: Engine) -> None:
    followed(engine, 10, True)
    for day in (8, 9):
        assert followed(engine, day, False) == followed(engine, day, True) == []
    going = store.going_on(engine, "cta", "forecasts")
    assert going is not None
    assert going.began == going.last == DAY + timedelta(days=10)


def test_two_datasets_and_two_topics_have_episodes_of_their_own(engine: Engine) -> None:
    store.follow_alarms(engine, "cta", DAY, {"forecasts": [ALARM], "data": [ALARM]}, CALM)
    store.follow_alarms(engine, "sample", DAY, {"forecasts": [ALARM]}, CALM)
    assert [one.topic for one in store.untold(engine, "cta", DAY, REMIND)] == ["forecasts", "data"]
    assert [one.topic for one in store.untold(engine, "sample", DAY, REMIND)] == ["forecasts"]
