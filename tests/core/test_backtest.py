import numpy as np
import pandas as pd
import pytest

from daycast.core import split as splitting
from daycast.core.backtest import forecasts, with_actuals
from daycast.core.split import Fold
from daycast.errors import DataError, HistoryError, ModelError
from tests.core.builders import Headed, SeasonalNaive, count_up, daily_table, noise_table

DAYS = pd.date_range("2024-01-01", periods=60)


def fold(cutoffs=(30, 33), horizon=3, fit=30) -> Fold:
    return Fold("test", None, DAYS[fit], DAYS[list(cutoffs)], horizon)


def test_a_backtest_forecasts_every_series_from_every_cutoff_without_any_actual():
    rows = forecasts(SeasonalNaive(), count_up(), fold())
    assert list(rows.columns) == ["unique_id", "cutoff", "ds", "step", "y_hat"]
    assert len(rows) == 2 * 2 * 3
    assert rows.index.equals(pd.RangeIndex(12))
    for _, row in rows.iterrows():
        assert row["ds"] == row["cutoff"] + pd.Timedelta(days=row["step"])
        value = DAYS.get_loc(row["ds"]) - 7 + (100 if row["unique_id"] == "b" else 0)
        assert row["y_hat"] == value


def test_a_model_s_own_quantiles_come_with_its_rows_where_they_are_asked_for():
    table = daily_table({"a": np.arange(60.0), "late": unborn().panel.y[1], "z": np.arange(60.0)})
    plain = forecasts(Headed(), table, fold())
    assert sorted(set(plain["unique_id"])) == ["a", "z"]
    rows = forecasts(Headed(), table, fold(), levels=(0.5, 0.9))
    pd.testing.assert_frame_equal(rows[plain.columns], plain)
    np.testing.assert_allclose(rows["q0.5"], rows["y_hat"])
    np.testing.assert_allclose(rows["q0.9"] - rows["y_hat"], 1.2815515655446 * rows["step"])
    with pytest.raises(ModelError):
        forecasts(SeasonalNaive(), table, fold(), levels=(0.5,))


def test_the_model_sees_nothing_after_a_cutoff():
    model = SeasonalNaive()
    forecasts(model, count_up(), fold())
    for origin in model.calls[0]:
        assert origin.history.y.shape[1] == DAYS.get_loc(origin.cutoff) + 1


def test_the_choice_of_series_narrows_the_rows_but_not_what_the_model_sees():
    model = SeasonalNaive()
    rows = forecasts(model, count_up(), fold(), series=("b",))
    assert set(rows["unique_id"]) == {"b"}
    assert rows.index.equals(pd.RangeIndex(6))
    assert model.calls[0][0].history.ids == ("a", "b")


def test_a_series_that_does_not_exist_is_refused():
    with pytest.raises(DataError):
        forecasts(SeasonalNaive(), count_up(), fold(), series=("tram",))


def unborn():
    late = np.where(np.arange(60) < 31, np.nan, 5.0)
    return daily_table({"a": np.arange(60.0), "late": late})


def test_a_series_not_observed_when_the_model_was_fitted_has_no_rows():
    rows = forecasts(SeasonalNaive(), unborn(), fold())
    assert set(rows["unique_id"]) == {"a"}
    later = forecasts(SeasonalNaive(), unborn(), fold(cutoffs=(31, 33), fit=31))
    assert set(later["unique_id"]) == {"a", "late"}


def test_a_series_asked_for_that_was_not_observed_is_refused():
    with pytest.raises(HistoryError) as error:
        forecasts(SeasonalNaive(), unborn(), fold(), series=("a", "late"))
    assert error.value.found == "none in ['late']"


def test_a_fold_without_any_observed_series_is_refused():
    table = daily_table({"late": [np.nan] * 31 + [1.0] * 29})
    with pytest.raises(HistoryError):
        forecasts(SeasonalNaive(), table, fold())


def test_actuals_are_those_of_the_split():
    table = noise_table(60)
    rows = with_actuals(forecasts(SeasonalNaive(), table, fold()), table)
    came = splitting.actuals(table, fold().cutoffs, 3)
    np.testing.assert_array_equal(rows["y"], came.reshape(-1))


def test_actuals_after_the_end_of_the_data_are_missing():
    table = count_up()
    rows = with_actuals(forecasts(SeasonalNaive(), table, fold(cutoffs=(58,))), table)
    assert rows.query("unique_id == 'a'")["y"].tolist()[:1] == [59.0]
    assert rows.query("unique_id == 'a'")["y"].isna().tolist() == [False, True, True]


def test_actuals_do_not_depend_on_the_order_of_rows_or_their_index():
    table = noise_table(60)
    rows = with_actuals(forecasts(SeasonalNaive(), table, fold()), table)
    mixed = rows.drop(columns="y").sample(frac=1, random_state=1)
    np.testing.assert_array_equal(with_actuals(mixed, table)["y"], rows["y"].loc[mixed.index])


@pytest.mark.parametrize(
    ("column", "value"),
    [("unique_id", "tram"), ("ds", pd.Timestamp("2024-01-15 12:00")), ("ds", pd.Timestamp("2023-12-31"))],
)
def test_rows_of_other_data_are_refused(column, value):
    table = count_up()
    rows = forecasts(SeasonalNaive(), table, fold())
    rows.loc[3, column] = value
    with pytest.raises(DataError) as error:
        with_actuals(rows, table)
    assert error.value.found.startswith("1 others")
    assert str(value) in error.value.found
