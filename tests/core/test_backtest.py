import numpy as np
import pandas as pd
import pytest

from daycast.core import split as splitting
from daycast.core.backtest import ENOUGH, forecasts, residual_offsets, with_actuals
from daycast.core.forecast import band
from daycast.core.split import Fold, Plan
from daycast.errors import DataError, HistoryError, ModelError
from tests.core.builders import SeasonalNaive, count_up, daily_table, noise_table

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


def residual_rows(counts: dict[tuple[str, int], int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    blocks = [
        pd.DataFrame({"unique_id": name, "step": step, "y_hat": 10.0, "y": 10.0 + step * rng.normal(size=count)})
        for (name, step), count in counts.items()
    ]
    return pd.concat(blocks, ignore_index=True)


def test_offsets_are_the_quantiles_of_a_steps_own_residuals_where_there_are_enough():
    rows = residual_rows({("a", 1): ENOUGH, ("a", 2): ENOUGH + 5})
    found = residual_offsets(rows)
    assert found.index.names == ["unique_id", "step"]
    assert list(found.columns) == ["q0.1", "q0.5", "q0.9"]
    for step in (1, 2):
        own = rows[rows["step"] == step]
        expected = np.quantile(own["y"] - own["y_hat"], [0.1, 0.5, 0.9])
        np.testing.assert_allclose(found.loc[("a", step)], expected)


def test_a_step_with_too_few_residuals_takes_those_of_all_steps_of_its_series():
    rows = residual_rows({("a", 1): ENOUGH, ("a", 2): ENOUGH - 1, ("b", 1): 3, ("b", 2): 3})
    found = residual_offsets(rows)
    residual = rows["y"] - rows["y_hat"]
    for name in "ab":
        pooled = np.quantile(residual[rows["unique_id"] == name], [0.1, 0.5, 0.9])
        np.testing.assert_allclose(found.loc[(name, 2)], pooled)
    own = np.quantile(residual[(rows["unique_id"] == "a") & (rows["step"] == 1)], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(found.loc[("a", 1)], own)


def test_missing_actuals_are_no_residuals():
    rows = residual_rows({("a", 1): ENOUGH, ("a", 2): 40})
    holed = rows.copy()
    holed.loc[0, "y"] = np.nan
    known = (rows["y"] - rows["y_hat"]).drop(index=0)
    np.testing.assert_allclose(residual_offsets(holed).loc[("a", 1)], np.quantile(known, [0.1, 0.5, 0.9]))


def test_a_series_or_step_without_residuals_still_has_its_rows():
    rows = residual_rows({("a", 1): 5, ("a", 2): 5, ("b", 1): 5})
    rows.loc[rows["step"] == 2, "y"] = np.nan
    rows.loc[rows["unique_id"] == "b", "y"] = np.nan
    found = residual_offsets(rows)
    assert list(found.index) == [("a", 1), ("a", 2), ("b", 1)]
    np.testing.assert_array_equal(found.loc[("a", 2)], found.loc[("a", 1)])
    assert found.loc[("b", 1)].isna().all()


def test_offsets_are_sorted_whatever_the_order_of_levels():
    rows = residual_rows({("a", 1): 50})
    found = residual_offsets(rows, levels=(0.9, 0.25, 0.5))
    assert list(found.columns) == ["q0.25", "q0.5", "q0.9"]
    assert found.loc[("a", 1)].is_monotonic_increasing


@pytest.mark.parametrize("seed", range(5))
def test_bands_never_cross_even_with_equal_residuals(seed):
    rows = residual_rows({("a", 1): 25, ("a", 2): 7}, seed)
    rows["y"] = rows["y"].round(0) + 0.1  # many equal residuals, none a round number in binary
    levels = tuple(np.linspace(0.02, 0.98, 49).round(2))
    banded = band(rows.drop(columns="y"), residual_offsets(rows, levels))
    assert (np.diff(banded.filter(regex="^q").to_numpy(), axis=1) >= 0).all()


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ModelError):
        residual_offsets(residual_rows({("a", 1): 5}), levels)


def test_offsets_of_validation_folds_cover_about_what_they_say_on_the_test():
    table = noise_table(400, names=("a",))
    plan = Plan(7, 1, 100, None, None, None, None, 2, 90)
    laid = splitting.split(table.panel, plan)
    validation = pd.concat([with_actuals(forecasts(SeasonalNaive(), table, f), table) for f in laid.validation])
    test = with_actuals(forecasts(SeasonalNaive(), table, laid.test), table)
    banded = band(test, residual_offsets(validation))
    inside = ((banded["y"] >= banded["q0.1"]) & (banded["y"] <= banded["q0.9"])).mean()
    assert 0.7 < inside < 0.9
