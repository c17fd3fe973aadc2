"""What is measured of a raw batch, against small tables worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from daycast.core import batch
from daycast.core.figures import Figures
from daycast.core.layout import Layout
from daycast.core.raw import Whole

WIDE = Layout(freq="D", time="day", series={"a": "x", "b": "y"}, day_type="kind", country="US")
LONG = Layout(freq="D", time="day", id="name", value="x", static={"group": ("r", "s")})
TYPES = {"day": "date", "kind": "str", "x": "int", "y": "float"}


def wide(**columns: object) -> pd.DataFrame:
    """Four days from Thursday 2018-12-20."""
    days = ["2018-12-20", "2018-12-21", "2018-12-22", "2018-12-23"]
    return pd.DataFrame({"day": days, "kind": ["W", "W", "A", "U"], "x": [1, 2, 3, 4], "y": [0.5] * 4} | columns)


def long(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day", "name", "x"]).assign(group="r")


def measured(raw: pd.DataFrame, layout: Layout = WIDE, sums: tuple[tuple[str, ...], ...] = ()) -> batch.Batch:
    kinds = {name: kind for name, kind in TYPES.items() if name in raw}
    return batch.measure(raw, kinds, sums, layout, batch.grid(Whole(raw), layout))


def told_of(layout: Layout, below: float | None, *parts: batch.Batch) -> dict[str, Any]:
    figures = Figures(layout, below)
    for part in parts:
        figures.add(part)
    return figures.told()


def test_what_can_not_be_read_is_kept_apart_and_what_is_missing_is_not_unreadable() -> None:
    raw = wide(x=["1", "two", None, "2.5"], y=["0.5", "nan", "inf", "1e3"], kind=["W", None, 7, "U"])
    frame = measured(raw).frame
    assert frame[batch.unreadable("x")].tolist()[1::2] == ["two", "2.5"]
    assert frame[batch.unreadable("x")].isna().tolist() == [True, False, True, False]
    np.testing.assert_array_equal(frame[batch.number("x")], [1, np.nan, np.nan, np.nan])
    assert frame[batch.unreadable("y")].notna().tolist() == [False, True, True, False]
    np.testing.assert_array_equal(frame[batch.number("y")], [0.5, np.nan, np.nan, 1000])
    assert frame["kind"].tolist()[2] == "7"
    assert frame["kind"].isna().tolist() == [False, True, False, False]


def test_numbers_in_categories_are_read_as_numbers() -> None:
    raw = wide(x=pd.Categorical([1, 2, 2, 4]))
    assert measured(raw).frame[batch.number("x")].tolist() == [1, 2, 2, 4]


def test_exact_duplicates_are_left_out_and_the_others_keep_their_position() -> None:
    raw = pd.concat([wide(), wide().iloc[[1]], wide(x=9).iloc[[1]]], ignore_index=True)
    made = measured(raw)
    assert made.duplicates == 1
    assert made.frame.index.tolist() == [0, 1, 2, 3, 5]
    assert len(raw.columns) == 4  # what is given stays as it is


def test_a_sum_with_a_missing_part_is_missing() -> None:
    frame = measured(wide(x=[1, None, 3, 4]), sums=(("x", "y"),)).frame
    np.testing.assert_array_equal(frame[batch.total(("x", "y"))], [1.5, np.nan, 3.5, 4.5])


def test_absent_timestamps_are_counted_within_a_series_whatever_the_order() -> None:
    raw = long(
        ("2020-01-09", "a", 1), ("2020-01-01", "a", 1), ("2020-01-05", "b", 1), ("2020-01-03", "a", 1), ("?", "a", 1),
        ("2020-01-05", "b", 2),
    )  # fmt: skip
    made = measured(raw, LONG)
    np.testing.assert_array_equal(made.frame[batch.ABSENT], [5, 0, 0, 1, np.nan, 0])
    told = told_of(LONG, None, made)
    assert told["gaps"] == 6
    assert told["holes"] == [
        {"series": "a", "before": "2020-01-09T00:00:00", "timestamps": 5},
        {"series": "a", "before": "2020-01-03T00:00:00", "timestamps": 1},
    ]
    assert (told["first"], told["last"], told["timestamps"]) == ("2020-01-01T00:00:00", "2020-01-09T00:00:00", 4)


def test_times_between_the_grid_are_told() -> None:
    layout = Layout(freq="W-SUN", time="day", id="name", value="x")
    frame = measured(long(("2020-01-05", "a", 1), ("2020-01-08", "a", 1), ("2020-01-12", "a", 1)), layout).frame
    assert frame[batch.OFF_GRID].tolist()[1] == "2020-01-08"
    assert frame[batch.OFF_GRID].isna().tolist() == [True, False, True]
    np.testing.assert_array_equal(frame[batch.ABSENT], [0, np.nan, 0])


def test_the_calendar_corrects_only_the_day_types_that_it_does_not_allow() -> None:
    layout = Layout(
        freq="D", time="day", series={"a": "x"}, day_type="kind", country="US",
        sunday_service={"Christmas Day": ("Tue",)},
    )  # fmt: skip
    days = pd.date_range("2018-12-20", periods=6).strftime("%Y-%m-%d")  # Thursday to Tuesday, Christmas
    for found, says in (("WWAUWU", "WWAUWU"), ("WWAUWW", "WWAUWW"), ("UAWAAA", "WWAUWU"), ("XXXXXX", "XXXXXX")):
        raw = pd.DataFrame({"day": days, "kind": list(found), "x": 1})
        assert "".join(measured(raw, layout).frame[batch.BY_CALENDAR]) == says


def test_a_static_column_is_compared_with_the_first_of_its_series() -> None:
    raw = long(("2020-01-01", "a", 1), ("2020-01-01", "b", 1), ("2020-01-02", "a", 1)).assign(group=["r", "s", "s"])
    assert measured(raw, LONG).frame[batch.first_of_series("group")].tolist() == ["r", "s", "r"]


def test_low_values_are_flagged_by_series() -> None:
    told = told_of(WIDE, 0.25, measured(wide(x=[100, 10, 100, 100])))
    assert told["flagged"] == {"a": [{"time": "2018-12-21T00:00:00", "value": 10.0, "share": 0.1}]}
    assert told["series"] == 2


def test_no_rows_give_empty_figures() -> None:
    made = measured(wide().iloc[:0])
    told = told_of(WIDE, 0.25, made)
    assert (told["rows"], told["first"], told["gaps"], told["flagged"]) == (0, None, 0, {})


def test_figures_of_parts_are_those_of_the_whole() -> None:
    random = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    rows = [(day, f"s{n}", float(random.integers(1, 100))) for n in range(9) for day in days if random.random() < 0.7]
    raw = long(*rows, *rows[:5]).sample(frac=1, random_state=1, ignore_index=True)
    kinds = {name: kind for name, kind in TYPES.items() if name in raw}
    on = batch.grid(Whole(raw), LONG)
    parts = [batch.measure(of, kinds, (), LONG, on) for _, of in raw.groupby(raw["name"].str[1].astype(int) // 4)]
    assert len(parts) == 3
    told = told_of(LONG, 0.2, *parts)
    assert told == told_of(LONG, 0.2, batch.measure(raw, kinds, (), LONG, on))
    assert (told["series"], told["exact_duplicates"], len(told["holes"])) == (9, 5, 20)
    assert told["flagged"]


def test_a_part_is_measured_on_the_grid_of_the_whole() -> None:
    layout = Layout(freq="W-SUN", time="day", id="name", value="x")
    raw = long(("2020-01-05", "a", 1), ("2020-01-08", "b", 1), ("2020-01-12", "b", 1))
    part = batch.measure(raw.iloc[1:], {"x": "float"}, (), layout, batch.grid(Whole(raw), layout))
    assert part.frame[batch.OFF_GRID].tolist()[0] == "2020-01-08"
