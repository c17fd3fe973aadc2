"""What raw rows become, and that nothing gets lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daycast.config import dataset_only
from daycast.core.calendar import day_types, holiday_names
from daycast.core.canonical import canonical, needed, outline
from daycast.core.frame import table
from daycast.core.layout import CALENDAR_COLUMNS, Layout, calendar_frame, timestamps
from daycast.errors import DataError

WIDE = Layout(freq="D", time="day", time_format="%m/%d/%Y", series={"rail": "r", "bus": "b"}, future_steps=3)
LONG = Layout(freq="D", time="day", id="stop", value="rides", future_steps=2)


def wide(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day", "r", "b"])


def long(*rows: tuple[object, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stop", "day", "rides"])


def test_a_wide_file_becomes_one_sorted_series_per_column() -> None:
    frame = canonical(wide(("01/02/2020", 20, 200), ("01/01/2020", 10, 100)), replace(WIDE, future_steps=1))

    assert list(frame.columns) == ["unique_id", "ds", "y", *CALENDAR_COLUMNS]
    assert frame["unique_id"].tolist() == ["bus"] * 3 + ["rail"] * 3
    assert frame["ds"].tolist() == list(pd.date_range("2020-01-01", periods=3)) * 2
    assert frame["y"].fillna(-1).tolist() == [100, 200, -1, 10, 20, -1]
    assert frame.dtypes.astype(str)[["unique_id", "ds", "y"]].tolist() == ["object", "datetime64[ns]", "float64"]


def test_exact_duplicate_rows_count_once() -> None:
    once = wide(("01/01/2020", 10, 100), ("01/02/2020", 20, 200))

    pd.testing.assert_frame_equal(canonical(pd.concat([once, once]), WIDE), canonical(once, WIDE))


def test_two_different_rows_for_one_day_are_refused() -> None:
    with pytest.raises(DataError, match="4 rows that differ, first rail at 2020-01-01"):
        canonical(wide(("01/01/2020", 10, 100), ("01/01/2020", 11, 100)), WIDE)


def test_absent_days_become_rows_without_a_value_but_with_their_calendar() -> None:
    frame = canonical(wide(("07/03/2020", 10, 100), ("07/06/2020", 20, 200)), replace(WIDE, country="US"))
    inserted = frame[frame["unique_id"] == "bus"].iloc[1:3]

    assert inserted["y"].isna().all()
    assert inserted["day_of_week"].tolist() == ["Sat", "Sun"]
    assert inserted["day_type"].tolist() == ["A", "U"]
    assert inserted["holiday"].tolist() == [1.0, 0.0]
    assert not frame[list(CALENDAR_COLUMNS)].isna().any().any()


def test_each_series_starts_at_its_own_first_observation_and_all_end_together() -> None:
    raw = long(("a", "2020-01-01", 1), ("b", "2020-01-02", np.nan), ("b", "2020-01-03", 2), ("b", "2020-01-04", 3))
    frame = canonical(raw, LONG)
    ends = frame.groupby("unique_id")["ds"].agg(["min", "max", "size"])

    assert ends["min"].dt.day.tolist() == [1, 3]
    assert ends["max"].dt.day.tolist() == [6, 6]
    assert ends["size"].tolist() == [6, 4]
    assert frame.set_index(["unique_id", "ds"])["y"].dropna().tolist() == [1, 2, 3]


def test_what_was_known_before_a_series_first_observation_goes_nowhere_else() -> None:
    raw = long(("a", "2020-01-01", 1), ("b", "2020-01-01", np.nan), ("b", "2020-01-02", 2)).assign(rain=[0.1, 9.0, 0.2])
    frame = canonical(raw, replace(LONG, past=("rain",)))

    assert frame["rain"].dropna().tolist() == [0.1, 0.2]


def test_a_series_without_any_observation_is_kept_from_its_first_row() -> None:
    frame = canonical(long(("a", "2020-01-01", 1), ("a", "2020-01-03", 1), ("b", "2020-01-02", np.nan)), LONG)

    assert frame.loc[frame["unique_id"] == "b", "ds"].dt.day.tolist() == [2, 3, 4, 5]


def test_rows_without_a_value_after_the_last_observation_belong_to_the_future() -> None:
    frame = canonical(wide(("01/01/2020", 10, 100), ("01/02/2020", np.nan, np.nan)), WIDE)

    assert frame["ds"].max() == pd.Timestamp("2020-01-04")
    assert len(frame) == 2 * 4


def test_numbers_that_name_series_become_text_and_sort_as_text() -> None:
    frame = canonical(long((10, "2020-01-01", 1), (9, "2020-01-01", 2)), LONG)

    assert frame.drop_duplicates("unique_id")[["unique_id", "y"]].to_numpy().tolist() == [["10", 1.0], ["9", 2.0]]


def test_day_types_come_from_the_data_where_it_has_them_and_from_the_calendar_elsewhere() -> None:
    raw = wide(("01/01/2020", 1, 1), ("01/03/2020", 1, 1)).assign(kind=["A", "U"])
    frame = canonical(raw, replace(WIDE, day_type="kind", country="US", sunday_service={"New Year's Day": ("Wed",)}))

    assert frame["day_type"].tolist()[:6] == ["A", "W", "U", "A", "U", "W"]


def test_past_and_static_covariates_follow_their_series() -> None:
    raw = long(("b", "2020-01-03", 3), ("a", "2020-01-01", 1), ("a", "2020-01-03", 2))
    raw = raw.assign(rain=[0.5, 0.1, 0.2], zone=[2, 1, 1], area=[20, 10, 10])
    layout = replace(LONG, past=("rain",), static={"zone": ("1", "2"), "area": None})
    frame = canonical(raw, layout)

    assert frame["rain"].fillna(-1).tolist() == [0.1, -1, 0.2, -1, -1, 0.5, -1, -1]
    assert frame["zone"].tolist() == ["1"] * 5 + ["2"] * 3
    assert frame["area"].tolist() == [10.0] * 5 + [20.0] * 3


def test_a_static_column_that_changes_is_refused() -> None:
    raw = long(("a", "2020-01-01", 1), ("a", "2020-01-02", 2)).assign(zone=["x", "y"])

    with pytest.raises(DataError, match="one value of `zone` per series"):
        canonical(raw, replace(LONG, static={"zone": ("x", "y")}))


@pytest.mark.parametrize("when", ["2020-13-01", None])
def test_an_unreadable_timestamp_is_refused(when: str | None) -> None:
    with pytest.raises(DataError, match="1 rows without, the first at position 1"):
        canonical(long(("a", "2020-01-01", 1), ("a", when, 2)), LONG)


def test_a_row_without_its_series_name_is_refused() -> None:
    with pytest.raises(DataError, match="a series name in every row"):
        canonical(long(("a", "2020-01-01", 1), (None, "2020-01-02", 2)), LONG)


def test_timestamps_off_the_grid_are_refused_rather_than_lost() -> None:
    hourly = long(("a", "2020-01-01 00:00", 1), ("a", "2020-01-01 01:30", 2), ("a", "2020-01-01 02:00", 3))

    with pytest.raises(DataError, match="1 rows off it, first 2020-01-01 01:30:00"):
        canonical(hourly, replace(LONG, freq="h"))


def test_rows_without_any_value_are_refused() -> None:
    with pytest.raises(DataError, match="at least one observed value"):
        canonical(long(("a", "2020-01-01", np.nan)), LONG)


def test_timestamps_are_read_as_declared_and_what_is_not_one_is_missing() -> None:
    declared = timestamps(pd.Series(["02/01/2020", "2020-02-01"]), replace(LONG, time_format="%d/%m/%Y"))
    typed = timestamps(pd.Series(pd.to_datetime(["2020-02-01 13:00"]).tz_localize("America/Chicago")), LONG)

    assert declared.tolist() == [pd.Timestamp("2020-01-02"), pd.NaT]
    assert typed.tolist() == [pd.Timestamp("2020-02-01")]


def test_an_unknown_country_is_named() -> None:
    with pytest.raises(DataError, match="Atlantis/None"):
        calendar_frame(pd.date_range("2020-12-24", periods=3), replace(LONG, country="Atlantis"))


def test_no_country_means_no_holidays() -> None:
    days = calendar_frame(pd.date_range("2020-12-24", periods=3), LONG)

    assert days["holiday_name"].tolist() == ["", "", ""]
    assert days["holiday"].sum() == 0
    assert set(days["days_to_holiday"]) | set(days["days_since_holiday"]) == {"3+"}


def test_days_know_how_far_the_holidays_around_them_are_also_those_beyond_the_dates() -> None:
    days = calendar_frame(pd.date_range("2019-12-31", "2020-01-05"), replace(LONG, country="US"))

    assert days["holiday_name"].tolist() == ["", "New Year's Day", "", "", "", ""]
    assert days["days_to_holiday"].tolist() == ["1", "0", "3+", "3+", "3+", "3+"]
    assert days["days_since_holiday"].tolist() == ["3+", "0", "1", "2", "3+", "3+"]
    eve = calendar_frame(pd.date_range("2019-12-23", periods=1), replace(LONG, country="US"))
    assert eve["days_to_holiday"].tolist() == ["2"]


def test_the_year_ends_from_20_december_to_3_january() -> None:
    days = calendar_frame(pd.date_range("2019-12-18", "2020-01-05"), LONG)

    assert days.index[days["year_end"] == 1.0].strftime("%m-%d").tolist()[:1] == ["12-20"]
    assert days.index[days["year_end"] == 1.0].strftime("%m-%d").tolist()[-1:] == ["01-03"]
    assert days["year_end"].sum() == 15


def test_a_holiday_runs_as_a_sunday_only_on_the_weekdays_declared_for_it() -> None:
    service = {"Independence Day": ("Fri",), "Independence Day (observed)": ("Fri",)}
    ds = pd.DatetimeIndex(["2014-07-04", "2020-07-03", "2020-07-04", "2020-07-05", "2021-07-05"])
    types = day_types(ds, holiday_names(ds, "US").tolist(), service)

    assert types.tolist() == ["U", "U", "A", "U", "W"]


def test_either_of_two_holidays_on_one_date_can_make_it_a_sunday() -> None:
    monday = pd.DatetimeIndex(["2020-01-20"])

    assert day_types(monday, ["One Day; Other Day"], {"Other Day": ("Mon",)}).tolist() == ["U"]


def test_the_frame_survives_parquet(tmp_path: Path) -> None:
    frame = canonical(wide(("01/01/2020", 10, 100)), replace(WIDE, country="US"))
    frame.to_parquet(tmp_path / "x.parquet", index=False)

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)


@pytest.fixture(scope="module")
def boardings(real_data: Path) -> pd.DataFrame:
    return pd.read_csv(real_data / "CTA_-_Ridership_-_Daily_Boarding_Totals.csv")


def test_the_calendar_of_cta_gives_the_real_day_type_of_every_day(boardings: pd.DataFrame, root: Path) -> None:
    layout = dataset_only(root, "cta").layout()
    days = boardings.drop_duplicates()
    computed = calendar_frame(pd.DatetimeIndex(timestamps(days["service_date"], layout)), layout)["day_type"]

    assert len(days) == 7639
    assert (computed.to_numpy() == days["day_type"].to_numpy()).all()


def test_the_real_boardings_keep_every_ride_of_7639_days(boardings: pd.DataFrame, root: Path) -> None:
    dataset = dataset_only(root, "cta")
    frame = canonical(boardings, dataset.layout())
    totals = frame.groupby("unique_id")["y"].agg(["count", "sum"])
    once = boardings.drop_duplicates()

    assert totals["count"].tolist() == [7639, 7639]
    assert totals["sum"].tolist() == [once["bus"].sum(), once["rail_boardings"].sum()]
    assert len(frame) == 2 * (7639 + dataset.calendar.future_steps)
    assert table(frame, dataset.spec()).panel.y.shape == (2, 7639)


def test_the_real_stations_become_one_panel_with_their_holes(real_data: Path, root: Path) -> None:
    dataset = dataset_only(root, "cta_stations")
    raw = pd.read_parquet(real_data / "cta_l_station_entries_daily_2001_2016.parquet")
    frame = canonical(raw, dataset.layout())
    read = table(frame, dataset.spec())

    assert frame["y"].notna().sum() == 814_756
    assert frame["y"].sum() == raw["rides"].sum()
    assert read.panel.y.shape == (146, 5733)
    assert np.isnan(read.panel.y[read.panel.ids.index("40190")]).sum() == 30
    assert read.panel.static.sum() == 146


def test_some_series_after_the_others_are_what_all_at_once_are() -> None:
    random = np.random.default_rng(3)
    days = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d")
    rows = [
        (day, name, random.random() if step >= first else None, "WUA"[random.integers(3)], 1.0)
        for first, name in enumerate(("s3", "s1", "s10", "s2", "s4", "s5"))
        for step, day in enumerate(days)
        if random.random() < 0.6
    ]
    raw = pd.DataFrame(rows, columns=["day", "name", "x", "kind", "temperature"])
    raw.loc[raw["name"] == "s5", "x"] = None  # never observed
    raw = pd.concat([raw, raw.iloc[:7]]).sample(frac=1, random_state=2, ignore_index=True)
    layout = Layout(
        freq="D", time="day", id="name", value="x", day_type="kind", past=("temperature",), future_steps=3
    )  # fmt: skip
    parts = [raw[raw["name"].isin(some)] for some in (("s1", "s10"), ("s2", "s3"), ("s4", "s5"))]
    of = outline((part[needed(layout)] for part in parts), layout)
    made = pd.concat([canonical(part, layout, of) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(made, canonical(raw, layout))
    assert set(made["day_type"]) == {"W", "A", "U"}
