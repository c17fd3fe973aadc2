"""What forecasts missed by, checked against what one would do by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import ledger
from daycast.core.frame import FrameSpec, Panel, table

DAYS = pd.date_range("2024-01-01", periods=40)
LEVELS = ("0.025", "0.1", "0.9", "0.975")


def came_all(missing: int | None = None) -> Panel:
    y = np.arange(40) ** 1.5 + 100
    y[[] if missing is None else [missing]] = np.nan
    return table(pd.DataFrame({"unique_id": "rail", "ds": DAYS, "y": y}), FrameSpec("D", 7)).panel


def forecasts(cutoffs: list[int], horizon: int = 10, off: float = 1.0) -> pd.DataFrame:
    """Forecasts that miss by ``off``, from the days numbered ``cutoffs``, with intervals of 4 and 8 around them."""
    known = dict(zip(DAYS, came_all().y[0], strict=True))
    rows = []
    for number in cutoffs:
        for step in range(1, horizon + 1):
            ds = DAYS[number] + pd.Timedelta(days=step)
            y_hat = known.get(ds, 0.0) + off
            rows.append(("rail", DAYS[number], ds, step, y_hat, y_hat - 4, y_hat - 2, y_hat + 2, y_hat + 4))
    return pd.DataFrame(rows, columns=["unique_id", "cutoff", "ds", "step", "y_hat", *LEVELS])


def by_hand(cutoff: pd.Timestamp, ds: pd.Timestamp) -> float:
    """The newest value of the same weekday up to the cutoff."""
    known = dict(zip(DAYS, came_all().y[0], strict=True))
    day = ds
    while day > cutoff:
        day -= pd.Timedelta(days=7)
    return float(known[day])


def sums(rows: pd.DataFrame, **given: object) -> pd.DataFrame:
    """The ledger's rows of judged rows, one for each."""
    beside = rows["naive"].notna()
    return rows.assign(
        model="mine",
        model_version="1",
        run_id="run",
        made_at=pd.Timestamp("2024-03-01"),
        n=1,
        abs_error=rows["error"].abs(),
        n_naive=beside.astype(int),
        abs_error_naive=rows["error"].abs().where(beside, 0.0),
        naive_error=(rows["naive"] - rows["y"]).abs().fillna(0.0),
        n_80=rows["inside_80"].notna().astype(int),
        n_95=rows["inside_95"].notna().astype(int),
        **given,
    )


def test_each_row_stands_beside_its_value_and_the_season_of_its_cutoff() -> None:
    found = ledger.judged(forecasts([20, 25]), came_all())
    assert len(found) == 20
    assert found["error"].to_numpy() == pytest.approx(1.0)
    expected = [by_hand(row.cutoff, row.ds) for row in found.itertuples()]
    assert found["naive"].tolist() == expected


def test_what_has_not_come_yet_and_what_never_came_is_not_judged() -> None:
    assert ledger.judged(forecasts([35]), came_all())["step"].tolist() == [1, 2, 3, 4]
    assert ledger.judged(forecasts([35]), came_all(missing=37))["step"].tolist() == [1, 3, 4]


def test_a_series_that_the_data_do_not_have_is_not_judged() -> None:
    assert ledger.judged(forecasts([20]).assign(unique_id="tram"), came_all()).empty


def test_a_value_on_the_edge_of_an_interval_is_inside_and_one_without_an_interval_is_neither() -> None:
    on_edge = ledger.judged(forecasts([20], horizon=2, off=2.0), came_all())
    assert on_edge["inside_80"].tolist() == [1.0, 1.0]
    outside = ledger.judged(forecasts([20], horizon=2, off=3.0), came_all())
    assert (outside["inside_80"].tolist(), outside["inside_95"].tolist()) == ([0.0, 0.0], [1.0, 1.0])
    without = ledger.judged(forecasts([20], horizon=2).assign(**dict.fromkeys(LEVELS, np.nan)), came_all())
    assert without[["inside_80", "inside_95"]].isna().all(axis=None)


def test_the_ledger_tells_error_skill_bias_and_coverage() -> None:
    rows = ledger.judged(forecasts([20], off=-3.0), came_all())
    (told,) = ledger.told(sums(rows), ["cutoff"]).itertuples()
    naive = np.mean([abs(by_hand(r.cutoff, r.ds) - r.y) for r in rows.itertuples()])
    assert (told.n, told.mae, told.bias) == (10, pytest.approx(3.0), pytest.approx(-3.0))
    assert told.naive_mae == pytest.approx(naive)
    assert told.skill == pytest.approx(1 - 3 / naive)
    assert (told.coverage_80, told.coverage_95) == (0.0, 1.0)


def test_skill_is_of_the_rows_alone_that_the_seasonal_naive_could_forecast_too() -> None:
    rows = ledger.judged(forecasts([2], horizon=7, off=1.0), came_all())
    assert rows["naive"].isna().sum() == 4  # the week before the first day is not there
    (told,) = ledger.told(sums(rows), ["cutoff"]).itertuples()
    with_naive = rows.dropna(subset="naive")
    assert told.skill == pytest.approx(1 - len(with_naive) / (with_naive["naive"] - with_naive["y"]).abs().sum())
    assert told.n == 7


def test_where_the_season_is_exact_a_miss_is_no_division_by_zero() -> None:
    rows = ledger.judged(forecasts([20], horizon=2), came_all()).assign(naive=lambda r: r["y"])
    assert ledger.told(sums(rows), ["cutoff"])["skill"].tolist() == [-np.inf]
    assert ledger.told(sums(rows.assign(error=0.0)), ["cutoff"])["skill"].tolist() == [0.0]


MADE = {"model": "mine", "run_id": "run"}
NONE_CAME = pd.DataFrame({"ds": pd.DatetimeIndex([]), "data_version": [], "judged_at": pd.DatetimeIndex([], tz="UTC")})


def made(*told: tuple[int, str, str, str]) -> pd.DataFrame:
    """Forecasts: day of the cutoff, version, version of the data, time."""
    rows = [(DAYS[day], version, data, pd.Timestamp(at, tz="UTC")) for day, version, data, at in told]
    return pd.DataFrame(rows, columns=["cutoff", "model_version", "data_version", "made_at"]).assign(**MADE)


def came(*told: tuple[int, str, str]) -> pd.DataFrame:
    """Values: day, version of the data, time."""
    rows = [(DAYS[day], data, pd.Timestamp(at, tz="UTC")) for day, data, at in told]
    return pd.DataFrame(rows, columns=["ds", "data_version", "judged_at"])


def moved(*told: tuple[str, str]) -> pd.DataFrame:
    """Moves of the champion: to which version, time."""
    rows = [(version, "run", pd.Timestamp(at, tz="UTC")) for version, at in told]
    found = pd.DataFrame(rows, columns=["to_version", "run_id", "decided_at"])
    return found.assign(decided_at=pd.to_datetime(found["decided_at"], utc=True))


def served(rows: pd.DataFrame, values: pd.DataFrame = NONE_CAME, *moves: tuple[str, str]) -> list[str]:
    """Which version served from the cutoff of day 20, by the ledger's rows of these forecasts."""
    one = sums(ledger.judged(forecasts([20], horizon=2), came_all()))
    newest = rows[rows["cutoff"] == DAYS[20]].groupby("model_version")["made_at"].max()
    every = pd.concat([one.assign(model_version=version, made_at=at) for version, at in newest.items()])
    return list(ledger.serving(every, rows, values, moved(*moves))["model_version"].unique())


@pytest.mark.parametrize(
    ("first", "second", "serves"),
    [
        ("2024-01-21 06:00", "2024-01-21 18:00", "2"),  # both before a value has come: the last one
        ("2024-01-21 18:00", "2024-01-21 06:00", "1"),
        ("2024-01-21 06:00", "2024-03-02", "1"),  # whoever makes up for it later changes nothing
        ("2024-03-02", "2024-01-21 06:00", "2"),
        ("2024-03-01", "2024-03-02", "1"),  # of two that came too late, the first
    ],
)
@pytest.mark.parametrize("by", ["a forecast from a later day", "a value that was judged by"])
def test_of_two_versions_that_forecast_from_a_cutoff_the_one_that_served_counts(
    first: str, second: str, serves: str, by: str
) -> None:
    rows, at = [(20, "1", "a", first), (20, "2", "b", second)], "2024-01-22 03:00"
    if by == "a value that was judged by":
        assert served(made(*rows), came((21, "c", at))) == [serves]
    else:
        assert served(made(*rows, (21, "1", "c", at))) == [serves]


def test_where_values_come_two_months_late_the_version_that_was_promoted_meanwhile_served() -> None:
    rows = [(20, "1", "a", "2024-03-05"), (20, "2", "a", "2024-03-06"), (20, "2", "a", "2024-03-07")]
    assert served(made(*rows), came((21, "b", "2024-04-05"), (22, "b", "2024-04-05"))) == ["2"]
    assert served(made(*rows, (30, "2", "b", "2024-04-05"))) == ["2"]


def test_a_backfill_rewrites_nothing_though_it_is_the_first_to_see_newer_data() -> None:
    rows = [(20, "1", "a", "2024-01-21 06:00"), (20, "2", "b", "2024-01-26 06:00")]
    assert served(made(*rows, (21, "2", "b", "2024-01-26 06:01"))) == ["1"]
    assert served(made(*rows), came((24, "b", "2024-01-26 07:00"))) == ["1"]


def test_a_version_that_served_and_is_run_again_in_hindsight_still_served() -> None:
    rows = [(20, "1", "a", "2024-01-21 06:00"), (20, "2", "a", "2024-01-21 07:00"), (20, "1", "b", "2024-01-26")]
    assert served(made(*rows), came((24, "b", "2024-01-26 07:00"))) == ["2"]
    rows = [(20, "1", "a", "2024-01-21 07:00"), (20, "2", "a", "2024-01-21 06:00"), (20, "1", "b", "2024-01-26")]
    assert served(made(*rows), came((24, "b", "2024-01-26 07:00"))) == ["1"]


PROMOTED, BACK = ("2", "2024-01-21 07:00"), ("1", "2024-01-21 12:00")


@pytest.mark.parametrize(
    ("moves", "serves"),
    [
        ([("1", "2023-05-01"), PROMOTED], "2"),
        ([("1", "2023-05-01"), PROMOTED, BACK], "1"),  # its forecast of the morning is in force again
        ([("1", "2023-05-01"), PROMOTED, ("1", "2024-01-22 09:00")], "2"),  # when a value was known already
        ([("1", "2023-05-01")], "1"),  # the other one was asked for by hand
        ([("3", "2023-05-01")], "2"),  # the champion has not forecast it
        ([], "2"),
        ([("1", "2023-05-01"), ("2", "2030-01-01"), BACK], "1"),  # by a clock that ran ahead
    ],
)
def test_of_all_that_forecast_in_time_the_champion_served(moves: list[tuple[str, str]], serves: str) -> None:
    rows = made((20, "1", "a", "2024-01-21 06:00"), (20, "2", "a", "2024-01-21 08:00"))
    assert served(rows, came((21, "b", "2024-01-22 06:00")), *moves) == [serves]
    hindsight = made((20, "1", "b", "2024-01-28"), (20, "2", "b", "2024-01-29"))
    assert served(hindsight, came((21, "b", "2024-01-22 06:00")), *moves) == ["1"]


def test_another_model_with_the_champions_number_is_another_registrys() -> None:
    rows = made((20, "1", "a", "2024-01-21 06:00"), (20, "2", "a", "2024-01-21 08:00"))
    other = moved(("1", "2023-05-01")).assign(run_id="another")
    one = sums(ledger.judged(forecasts([20], horizon=2), came_all()))
    every = pd.concat([one.assign(model_version=of.model_version, made_at=of.made_at) for of in rows.itertuples()])
    assert set(ledger.serving(every, rows, NONE_CAME, other)["model_version"]) == {"2"}


def test_a_forecast_from_a_day_that_had_not_come_makes_no_later_one_hindsight() -> None:
    rows = [(20, "1", "a", "2024-01-21 06:00"), (20, "2", "a", "2024-01-21 08:00")]
    ahead = (39, "1", "z", "2024-01-05")  # a clock ran ahead of it by weeks
    assert served(made(*rows, ahead), came((21, "b", "2024-01-22 06:00"))) == ["2"]


def test_forecasts_that_the_witness_has_not_are_told_by_the_ledgers_own_times() -> None:
    rows = sums(ledger.judged(forecasts([20, 21], horizon=2), came_all()))
    times = {("1", 20): "2024-01-21 06:00", ("1", 21): "2024-01-22 06:00", ("2", 20): "2024-01-21 18:00"}
    every = pd.concat(
        [
            rows[rows["cutoff"] == DAYS[day]].assign(model_version=version, made_at=pd.Timestamp(at, tz="UTC"))
            for (version, day), at in times.items()
        ]
    )
    found = ledger.serving(
        every, made().astype({"made_at": "datetime64[ns, UTC]", "cutoff": "datetime64[ns]"}), NONE_CAME, moved()
    )
    assert found.groupby("cutoff")["model_version"].unique().map(list).tolist() == [["2"], ["1"]]


@pytest.mark.parametrize(("again", "serves"), [("2024-01-21 20:40", "2"), ("2024-01-21 21:10", "1")])
def test_of_hours_a_value_may_have_come_within_the_day(again: str, serves: str) -> None:
    rows = pd.concat([made((20, "1", "a", "2024-01-21 20:10"), (20, "2", "a", again))])
    known = came((20, "b", "2024-01-21 21:05"))
    known["ds"] += pd.Timedelta(hours=1)
    assert served(rows, known) == [serves]
