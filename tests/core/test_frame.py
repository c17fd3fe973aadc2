import numpy as np
import pandas as pd
import pytest

from daycast.core import frame
from daycast.core.calendar import decode
from daycast.core.frame import FrameSpec
from daycast.errors import DataError, HistoryError
from tests.core.builders import count_up, daily_spec, daily_table, long_frame

DAY = pd.Timestamp


def with_covariates() -> pd.DataFrame:
    rows = long_frame({"b": [1, 2, 3], "a": [10, np.nan, 30]}, ahead=2)
    rows["price"] = np.arange(len(rows), dtype=float)
    rows["kind"] = rows["unique_id"].map({"a": "rail", "b": "bus"})
    rows["size"] = rows["unique_id"].map({"a": 7.0, "b": 8.0})
    rows["trend"] = (rows["ds"] - rows["ds"].min()).dt.days.astype(float)
    return rows


def full_spec() -> FrameSpec:
    return daily_spec(
        known={"day_of_week": ("Mon", "Tue", "Wed", "Thu", "Fri"), "trend": None},
        past=("price",),
        static={"kind": ("bus", "rail"), "size": None},
        fourier=1,
    )


def test_a_table_puts_every_value_in_its_own_cell_whatever_the_order_of_rows():
    rows = with_covariates()
    tables = [frame.table(r, full_spec()) for r in (rows, rows.sample(frac=1, random_state=3))]
    for table in tables:
        panel = table.panel
        assert panel.ids == ("a", "b")
        np.testing.assert_array_equal(panel.y, [[10, np.nan, 30], [1, 2, 3]])
        np.testing.assert_array_equal(panel.past[:, :, 0], [[5, 6, 7], [0, 1, 2]])
        np.testing.assert_array_equal(panel.static, [[0, 1, 7], [1, 0, 8]])
        assert panel.static_names == ("kind=bus", "kind=rail", "size")
        assert panel.past_names == ("price",)


def test_known_features_are_one_hot_numbers_and_waves_in_the_declared_order():
    table = frame.table(with_covariates(), full_spec())
    days = tuple(f"day_of_week={d}" for d in ("Mon", "Tue", "Wed", "Thu", "Fri"))
    assert table.panel.known_names == (*days, "trend", "year_sin1", "year_cos1")
    np.testing.assert_array_equal(table.panel.known[:, :5], np.eye(5)[:3])
    np.testing.assert_array_equal(table.panel.known[:, 5], [0, 1, 2])
    np.testing.assert_array_equal(table.beyond.known[:, :6], [[0, 0, 0, 1, 0, 3], [0, 0, 0, 0, 1, 4]])


def test_a_row_that_is_not_there_is_a_missing_value():
    rows = long_frame({"a": [1, 2, 3], "b": [4, 5, 6]}, ahead=0).drop(index=1)
    np.testing.assert_array_equal(frame.table(rows, daily_spec()).panel.y, [[1, np.nan, 3], [4, 5, 6]])


def test_the_panel_ends_where_the_last_series_ends_and_the_rest_is_future():
    table = daily_table({"a": [1, 2, np.nan], "b": [1, 2, 3]}, ahead=4)
    assert table.panel.cutoff == DAY("2024-01-03")
    assert list(table.beyond.ds) == list(pd.date_range("2024-01-04", periods=4))


def test_a_table_without_covariates_has_empty_matrices_of_the_right_length():
    table = frame.table(long_frame({"a": [1.0, 2.0]}, ahead=1), FrameSpec("D", 7))
    panel = table.panel
    assert (panel.known.shape, panel.past.shape, panel.static.shape) == ((2, 0), (1, 2, 0), (1, 0))
    assert table.future(panel.cutoff, 1).known.shape == (1, 0)


def test_a_missing_column_is_named():
    with pytest.raises(DataError) as error:
        frame.table(long_frame({"a": [1]}), daily_spec(past=("price",)))
    assert "price" in error.value.found


def test_a_frame_without_any_value_is_refused():
    with pytest.raises(DataError):
        frame.table(long_frame({"a": [np.nan, np.nan]}), daily_spec())


def test_a_timestamp_off_the_grid_is_refused_and_not_written_elsewhere():
    rows = long_frame({"a": [1, 2, 3]}, ahead=0)
    rows.loc[1, "ds"] = DAY("2024-01-02 12:00")
    with pytest.raises(DataError) as error:
        frame.table(rows, daily_spec())
    assert "2024-01-02 12:00" in error.value.found
    assert "1 rows" in error.value.found


def test_a_weekly_frame_whose_rows_fall_on_another_weekday_is_refused():
    rows = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=3, freq="7D"), "y": 1.0})
    with pytest.raises(DataError):
        frame.table(rows, FrameSpec("W-SUN", 52))
    assert frame.table(rows, FrameSpec("W-MON", 52)).panel.y.shape == (1, 3)


def test_a_row_given_twice_is_refused():
    rows = long_frame({"a": [1, 2], "b": [3, 4]}, ahead=0)
    with pytest.raises(DataError) as error:
        frame.table(pd.concat([rows, rows.iloc[[3]]]), daily_spec())
    assert "first b at 2024-01-02" in error.value.found


def test_a_level_that_was_not_declared_is_refused():
    with pytest.raises(DataError) as error:
        frame.table(long_frame({"a": [1, 2]}, ahead=0), daily_spec(known={"day_of_week": ("Mon",)}))
    assert "Tue" in error.value.found


def test_a_known_number_that_is_missing_is_refused():
    rows = with_covariates()
    rows.loc[rows["ds"] == DAY("2024-01-04"), "trend"] = np.nan
    with pytest.raises(DataError) as error:
        frame.table(rows, full_spec())
    assert "trend" in error.value.expected


def test_a_date_missing_from_every_series_is_refused_where_calendar_columns_are_declared():
    rows = long_frame({"a": [1, 2, 3]}, ahead=0).drop(index=1)
    with pytest.raises(DataError):
        frame.table(rows, daily_spec())


def test_history_is_inclusive_of_its_cutoff_and_costs_no_copy():
    panel = count_up().panel
    seen = panel.until(DAY("2024-01-10"))
    assert seen.cutoff == DAY("2024-01-10")
    np.testing.assert_array_equal(seen.y[0], np.arange(10))
    assert len(seen.ds) == seen.known.shape[0] == seen.past.shape[1] == 10
    assert np.shares_memory(seen.y, panel.y)
    assert np.shares_memory(seen.known, panel.known)


def test_since_starts_with_its_date():
    seen = count_up().panel.since(DAY("2024-02-20"))
    assert seen.ds[0] == DAY("2024-02-20")
    assert seen.y[0, 0] == 50
    assert seen.y.shape == (2, 10)


@pytest.mark.parametrize("when", ["2023-12-31", "2024-03-01", "2024-01-05 06:00"])
def test_a_date_that_is_not_on_the_grid_is_refused(when):
    with pytest.raises(HistoryError) as error:
        count_up().panel.until(DAY(when))
    assert "2024-01-01 .. 2024-02-29" in error.value.expected


def test_a_model_cannot_write_into_what_the_next_one_sees():
    table = frame.table(with_covariates(), full_spec())
    history, future = table.panel.until(DAY("2024-01-02")), table.future(DAY("2024-01-02"), 1)
    for array in (history.y, history.known, history.past, history.static, future.known, table.beyond.known):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_only_gives_the_named_series_in_the_order_named():
    panel = frame.table(with_covariates(), full_spec()).panel
    turned = panel.only(("b", "a"))
    assert turned.ids == ("b", "a")
    np.testing.assert_array_equal(turned.y, panel.y[::-1])
    np.testing.assert_array_equal(turned.past, panel.past[::-1])
    np.testing.assert_array_equal(turned.static, panel.static[::-1])
    assert panel.only(("b",)).y.shape == (1, 3)


def test_an_unknown_series_is_named():
    with pytest.raises(DataError) as error:
        count_up().panel.only(("a", "tram"))
    assert "tram" in error.value.found


def test_an_extended_panel_goes_on_with_forecasts_and_the_known_future():
    table = count_up()
    cutoff = DAY("2024-01-10")
    history, future = table.panel.until(cutoff), table.future(cutoff, 5)
    longer = history.extended(np.array([[1.0, 2.0], [3.0, 4.0]]), future)
    assert longer.cutoff == DAY("2024-01-12")
    np.testing.assert_array_equal(longer.y[:, -3:], [[9, 1, 2], [109, 3, 4]])
    np.testing.assert_array_equal(longer.known, table.panel.known[:12])
    assert longer.past.shape == (2, 12, 0)


def test_a_panel_with_past_covariates_cannot_be_extended():
    table = frame.table(with_covariates(), full_spec())
    cutoff = DAY("2024-01-02")
    with pytest.raises(HistoryError) as error:
        table.panel.until(cutoff).extended(np.zeros((2, 1)), table.future(cutoff, 2))
    assert "price" in error.value.expected


def test_levels_decode_a_one_hot_column():
    table = count_up()
    codes, names = table.panel.levels("day_of_week")
    assert [names[c] for c in codes[:8]] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon"]
    codes, names = table.future(DAY("2024-01-05"), 2).levels("day_of_week")
    assert [names[c] for c in codes] == ["Sat", "Sun"]


def test_a_column_that_does_not_exist_has_no_levels():
    table = count_up()
    assert table.panel.levels("day") is None
    assert table.beyond.levels("holiday") is None


def test_a_level_may_hold_an_equals_sign():
    codes, names = decode(np.array([[0.0, 1.0]]), ("c=a", "c=b=2"), "c")
    assert names == ("a", "b=2")
    assert codes.tolist() == [1]


def test_head_and_tail_of_a_future_make_up_the_whole():
    future = count_up().future(DAY("2024-01-10"), 5)
    head, tail = future.head(2), future.tail(2)
    assert list(head.ds) + list(tail.ds) == list(future.ds)
    np.testing.assert_array_equal(np.concatenate([head.known, tail.known]), future.known)


def test_the_known_future_runs_across_the_end_of_the_data():
    table = count_up(ahead=3)
    future = table.future(DAY("2024-02-27"), 5)
    assert list(future.ds) == list(pd.date_range("2024-02-28", periods=5))
    np.testing.assert_array_equal(future.known, np.concatenate([table.panel.known[-2:], table.beyond.known]))


def test_a_future_beyond_the_calendar_is_refused_with_what_is_possible():
    table = count_up(ahead=3)
    with pytest.raises(HistoryError) as error:
        table.future(DAY("2024-02-28"), 5)
    assert "at most 4 steps" in error.value.expected
