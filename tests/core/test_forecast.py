import tracemalloc

import numpy as np
import pandas as pd
import pytest

from daycast.core.forecast import (
    ITERATED,
    FitReport,
    Forecaster,
    Origin,
    band,
    check,
    predict,
    quantile_columns,
    rows,
    together,
)
from daycast.core.split import origins
from daycast.errors import HistoryError, OutputError
from tests.core.builders import SeasonalNaive, count_up, daily_table, noise_table

DAYS = pd.date_range("2024-01-01", periods=60)


class AddOne(SeasonalNaive):
    """One above the value before, step by step."""

    def one(self, origin):
        return origin.history.y[:, -1:] + 1 + np.arange(len(origin.future.ds))


class Constant(SeasonalNaive):
    def __init__(self, value, horizon=1000):
        super().__init__(horizon=horizon)
        self.value = value

    def one(self, origin):
        return np.full((len(origin.history.ids), len(origin.future.ds)), self.value)


def test_a_simple_class_is_a_forecaster_by_its_shape():
    assert isinstance(SeasonalNaive(), Forecaster)
    assert not isinstance(object(), Forecaster)


def test_a_fit_report_is_empty_unless_told_otherwise():
    assert (FitReport().curves, FitReport().facts) == ({}, {})


def test_forecasts_within_the_models_horizon_take_one_call():
    table, model = count_up(), AddOne(horizon=5)
    made = predict(model, origins(table, DAYS[[20, 30]], 5))
    np.testing.assert_array_equal(made[:, 0], [np.arange(21, 26), np.arange(31, 36)])
    np.testing.assert_array_equal(made[:, 1], made[:, 0] + 100)
    assert len(model.calls) == 1


@pytest.mark.parametrize(("horizon", "blocks"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_a_longer_horizon_is_iterated_in_blocks_and_continues_its_own_forecasts(horizon, blocks):
    table, model = count_up(), AddOne(horizon=horizon)
    made = predict(model, origins(table, DAYS[[20, 30]], 7))
    np.testing.assert_array_equal(made[:, 0], [np.arange(21, 28), np.arange(31, 38)])
    assert [len(call[0].future.ds) for call in model.calls] == blocks
    assert [call[0].cutoff for call in model.calls] == [DAYS[20 + sum(blocks[:k])] for k in range(len(blocks))]


def test_iteration_hands_out_the_known_future_of_the_later_steps():
    table, model = count_up(), AddOne(horizon=3)
    predict(model, origins(table, DAYS[[20]], 7))
    last = model.calls[-1][0]
    np.testing.assert_array_equal(last.future.known, table.panel.known[27:28])
    np.testing.assert_array_equal(last.history.known, table.panel.known[:27])


def test_forecasts_are_held_at_the_floor_and_missing_ones_stay_missing():
    table = count_up(floor=0.0)
    assert (predict(Constant(-5.0), origins(table, DAYS[[20]], 2)) == 0.0).all()
    assert np.isnan(predict(Constant(np.nan), origins(table, DAYS[[20]], 2))).all()
    assert (predict(Constant(-5.0), origins(count_up(), DAYS[[20]], 2)) == -5.0).all()


def test_an_iterated_forecast_goes_on_from_the_value_held_at_the_floor():
    class Fall(AddOne):
        def one(self, origin):
            return origin.history.y[:, -1:] - 200

    model = Fall(horizon=1)
    predict(model, origins(count_up(floor=0.0), DAYS[[20]], 2))
    np.testing.assert_array_equal(model.calls[1][0].history.y[:, -1], [0, 0])


def test_too_little_history_is_refused_and_the_least_is_enough():
    table, model = count_up(), SeasonalNaive(lag=7)
    with pytest.raises(HistoryError) as error:
        predict(model, origins(table, DAYS[[20, 5]], 2))
    assert ("at least 7" in error.value.expected, error.value.found) == (True, "6 up to 2024-01-06")
    assert predict(model, origins(table, DAYS[[6]], 2)).shape == (1, 2, 2)


def test_forecasts_of_a_wrong_shape_are_refused():
    class TooLong(AddOne):
        def one(self, origin):
            return super().one(origin).repeat(2, axis=1)

    with pytest.raises(OutputError) as error:
        predict(TooLong(), origins(count_up(), DAYS[[20]], 3))
    assert ("(1, 2, 3)" in error.value.expected, error.value.found) == (True, "(1, 2, 6)")


def test_rows_name_series_cutoff_date_and_step_of_every_forecast():
    table = count_up()
    starts = origins(table, DAYS[[20, 30]], 3)
    values = np.arange(12, dtype=float).reshape(2, 2, 3)
    made = rows(values, starts)
    assert list(made.columns) == ["unique_id", "cutoff", "ds", "step", "y_hat"]
    for o, cutoff in enumerate(DAYS[[20, 30]]):
        for n, name in enumerate(("a", "b")):
            for h in range(3):
                row = made[(made.unique_id == name) & (made.cutoff == cutoff) & (made.step == h + 1)].iloc[0]
                assert row["ds"] == cutoff + pd.Timedelta(days=h + 1)
                assert row["y_hat"] == values[o, n, h]
    assert len(made) == 12


def forecast_rows() -> pd.DataFrame:
    table = daily_table({"a": np.arange(30.0), "b": 100 + np.arange(30.0)})
    start = origins(table, DAYS[[20]], 3)
    return rows(predict(AddOne(), start), start)


def offsets() -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["b", "a"], [1, 2, 3]], names=["unique_id", "step"])
    return pd.DataFrame({"q0.1": [-1.0, -2, -2, -10, -20, -20], "q0.9": [3.0, 4, 4, 30, 40, 40]}, index=index)


def test_a_band_adds_the_offsets_of_the_series_and_step():
    banded = band(forecast_rows(), offsets()).set_index(["unique_id", "step"])
    assert (banded["q0.1"] - banded["y_hat"])["a"].tolist() == [-10, -20, -20]
    assert (banded["q0.9"] - banded["y_hat"])["b"].tolist() == [3, 4, 4]


def test_a_band_is_held_at_the_floor():
    banded = band(forecast_rows(), offsets(), floor=15.0).set_index(["unique_id", "step"])
    assert banded["q0.1"]["a"].tolist() == [15, 15, 15]
    assert banded["q0.1"]["b"].tolist() == [120, 120, 121]


def test_relative_offsets_are_shares_of_the_forecast_and_of_the_least_size_where_it_is_smaller():
    rows = forecast_rows().assign(y_hat=lambda r: r["y_hat"] - 20)  # 1, 2 and 3 of a
    banded = band(rows, (offsets() / 100).assign(least=2.5)).set_index("unique_id")
    np.testing.assert_allclose(banded["q0.9"]["a"] - banded["y_hat"]["a"], [0.75, 1.0, 1.2])
    np.testing.assert_allclose(banded["q0.1"]["b"], banded["y_hat"]["b"] * [0.99, 0.98, 0.98])
    assert "least" not in banded


def test_a_series_without_offsets_has_no_band():
    banded = band(forecast_rows(), offsets().drop(index="a", level=0))
    assert banded.set_index("unique_id")["q0.1"].isna().to_dict() == {"a": True, "b": False}


def test_a_step_beyond_the_validated_horizon_has_no_band():
    banded = band(forecast_rows(), offsets().drop(index=3, level=1)).set_index("step")
    assert banded["q0.9"].isna().groupby(level=0).all().to_dict() == {1: False, 2: False, 3: True}
    assert check(banded.reset_index(), 6, floor=0.0).shape[0] == 6


def test_complete_finite_forecasts_above_the_floor_pass_unchanged():
    made = band(forecast_rows(), offsets())
    assert check(made, 6, floor=0.0) is made
    assert check(made, 6, floor=None) is made


def test_a_series_too_new_to_have_a_band_passes_without():
    made = band(forecast_rows(), offsets().drop(index="a", level=0))
    assert check(made, 6, floor=0.0) is made


def test_quantile_columns_come_in_ascending_order():
    frame = pd.DataFrame(columns=["q0.9", "y", "q0.05", "quantity", "q0.1"])
    assert quantile_columns(frame) == ["q0.05", "q0.1", "q0.9"]


def test_missing_rows_are_refused():
    with pytest.raises(OutputError) as error:
        check(forecast_rows().iloc[:-1], 6, None)
    assert (error.value.expected[0], error.value.found) == ("6", "5")


@pytest.mark.parametrize("column", ["y_hat", "q0.1"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_the_first_place(column, value):
    made = band(forecast_rows(), offsets())
    made.loc[4, column] = value
    with pytest.raises(OutputError) as error:
        check(made, 6, None)
    assert error.value.found.startswith("1 rows that are not, first b at 2024-01-23")


def test_a_forecast_below_the_floor_is_refused_with_the_worst_place():
    made = forecast_rows()
    made.loc[[1, 4], "y_hat"] = [-1.0, -2.0]
    with pytest.raises(OutputError) as error:
        check(made, 6, floor=0.0)
    assert error.value.found.startswith("-2 for b at 2024-01-23")


def test_histories_that_are_views_of_one_another_go_together():
    one, another = count_up(), count_up()
    views = origins(one, DAYS[[20, 39, 30]], 3)
    (other,) = origins(another, DAYS[[25]], 3)
    later = Origin(one.panel.since(DAYS[5]), views[1].future)
    groups = together([views[0], other, views[1], later, views[2]])
    assert [members for members, _ in groups] == [[0, 2, 4], [1], [3]]
    assert all(longest is o for (_, longest), o in zip(groups, (views[1], other, later), strict=True))


class Last:
    """The last value plus one; unlike the others it keeps nothing of what it was shown."""

    horizon, min_history = 1, 1

    def predict(self, shown):
        return np.stack([o.history.y[:, -1:] + 1 for o in shown])


def test_many_origins_are_iterated_as_each_alone_and_in_bounded_memory():
    table = noise_table(1200, [f"s{i}" for i in range(40)])
    chosen = origins(table, table.panel.ds[-3 * ITERATED - 10 : -10], 5)
    history = chosen[-1].history
    tracemalloc.start()
    made = predict(Last(), chosen)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * ITERATED * (history.known.nbytes + history.y.nbytes)
    np.testing.assert_allclose(made, np.stack([o.history.y[:, -1:] + np.arange(1, 6) for o in chosen]), rtol=1e-12)
