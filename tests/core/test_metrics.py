import itertools
import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import metrics
from daycast.core.metrics import scales, score
from daycast.errors import DataError, OutputError
from tests.core.builders import daily_table

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
QUANTILES = [f"q{q:g}" for q in LEVELS]
MORE = ["relative_width_80", "relative_width_95", *(f"pinball_{q:g}" for q in LEVELS)]
NAMES = [*metrics.METRICS[:-1], *MORE, "bias"]


def made_up(seed: int = 0, cutoffs: int = 4, steps: int = 3, quantiles: bool = True) -> pd.DataFrame:
    """Rows of three series with very different levels, with zeros and missing actuals among them."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "unique_id": name,
            "cutoff": pd.Timestamp("2024-01-01") + pd.Timedelta(days=c),
            "ds": pd.Timestamp("2024-01-01") + pd.Timedelta(days=c + h),
            "step": h,
            "y": float(rng.integers(0, 5)) * level,
            "y_hat": float(rng.integers(0, 5)) * level,
        }
        for name, level in (("b", 100), ("c", 10_000), ("a", 1))
        for c in range(cutoffs)
        for h in range(1, steps + 1)
    ]
    out = pd.DataFrame(rows)
    out.loc[rng.random(len(out)) < 0.2, "y"] = np.nan
    if quantiles:
        out = out.assign(**{f"q{q:g}": out["y_hat"] * (0.5 + q) for q in LEVELS})
    return out


def slow(rows: pd.DataFrame, scale: float) -> dict[str, float]:
    """Every metric of one group of rows, from its definition, a row at a time."""
    errors, ratios, symmetric, sizes = [], [], [], []
    pinballs: dict[float, list[float]] = {q: [] for q in LEVELS}
    inside: dict[int, list[float]] = {80: [], 95: []}
    widths: dict[int, list[float]] = {80: [], 95: []}
    for _, row in rows.iterrows():
        y, f = row["y"], row["y_hat"]
        if math.isnan(y):
            continue
        errors.append(f - y)
        if y != 0:
            ratios.append(abs(y - f) / abs(y))
        symmetric.append(0.0 if y == f == 0 else abs(y - f) / (abs(y) + abs(f)))
        for q in LEVELS:
            above = y - row[f"q{q:g}"]
            pinballs[q].append(q * above if above >= 0 else (q - 1) * above)
        for share, low, high in ((80, row["q0.1"], row["q0.9"]), (95, row["q0.025"], row["q0.975"])):
            inside[share].append(1.0 if low <= y <= high else 0.0)
            widths[share].append(high - low)
        sizes.append(abs(y))
    n = len(errors)
    mae = sum(abs(e) for e in errors) / n
    at = {q: sum(values) / n for q, values in pinballs.items()}
    corners = [(0.0, 0.0), *at.items(), (1.0, 0.0)]
    area = sum((q - p) * (a + b) / 2 for (p, a), (q, b) in itertools.pairwise(corners))
    bands = {f"coverage_{share}": sum(values) / n for share, values in inside.items()}
    bands |= {f"width_{share}": sum(values) / n for share, values in widths.items()}
    relative = {share: sum(values) / sum(sizes) if sum(sizes) else math.nan for share, values in widths.items()}
    return {
        "mae": mae,
        "rmse": math.sqrt(sum(e * e for e in errors) / n),
        "mape": sum(ratios) / len(ratios) if ratios else math.nan,
        "smape": sum(symmetric) / n,
        "mase": mae / scale if scale > 0 else math.nan,
        "pinball": sum(at.values()) / len(at),
        "crps": 2 * area,
        **bands,
        **{f"relative_width_{share}": value for share, value in relative.items()},
        **{f"pinball_{q:g}": value for q, value in at.items()},
        "bias": sum(errors) / n,
    }


def mean(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


SCALES = {"a": 2.0, "b": 150.0, "c": 0.0}


@pytest.mark.parametrize("seed", range(4))
def test_every_metric_of_every_series_equals_its_definition(seed):
    rows = made_up(seed)
    found = score(rows, SCALES).by_series
    assert list(found.columns) == ["unique_id", *NAMES]
    assert found["unique_id"].tolist() == ["a", "b", "c"]
    for _, line in found.iterrows():
        expected = slow(rows[rows["unique_id"] == line["unique_id"]], SCALES[line["unique_id"]])
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, rel=1e-12, nan_ok=True), (line["unique_id"], name)


@pytest.mark.parametrize("seed", range(4))
def test_each_series_counts_once_in_every_overall_metric(seed):
    rows = made_up(seed)
    each = [slow(rows[rows["unique_id"] == name], SCALES[name]) for name in SCALES]
    found = score(rows, SCALES).overall
    assert list(found) == NAMES
    for name in NAMES:
        assert found[name] == pytest.approx(mean([e[name] for e in each]), rel=1e-12), name


@pytest.mark.parametrize("seed", range(4))
def test_a_step_is_the_mean_over_series_of_their_scores_at_that_step(seed):
    rows = made_up(seed, cutoffs=9)
    found = score(rows, SCALES).by_step
    assert list(found.columns) == ["step", *NAMES]
    assert found["step"].tolist() == [1, 2, 3]
    for _, line in found.iterrows():
        at = rows[rows["step"] == line["step"]]
        each = [slow(at[at["unique_id"] == name], SCALES[name]) for name in SCALES]
        for name in NAMES:
            assert line[name] == pytest.approx(mean([e[name] for e in each]), rel=1e-12, nan_ok=True), name


def test_rmse_is_taken_over_all_cutoffs_at_once_and_not_averaged_over_them():
    rows = made_up(cutoffs=2, steps=1).query("unique_id == 'a'").assign(y=[0.0, 0.0], y_hat=[3.0, 4.0])
    assert score(rows, SCALES).overall["rmse"] == pytest.approx(math.sqrt(12.5))


def test_percentages_are_fractions_and_smape_is_at_most_one():
    rows = made_up(cutoffs=1, steps=2).query("unique_id == 'a'").assign(y=[10.0, 10.0], y_hat=[15.0, 0.0])
    found = score(rows, SCALES).overall
    assert found["mape"] == pytest.approx(0.75)
    assert found["smape"] == pytest.approx((0.2 + 1.0) / 2)


def test_bias_is_above_zero_where_forecasts_are_too_high():
    rows = made_up().assign(y=1.0, y_hat=3.0)
    assert score(rows, SCALES).overall["bias"] == 2.0


def test_coverage_counts_values_on_the_edge():
    rows = made_up(cutoffs=1, steps=3).query("unique_id == 'a'")
    rows = rows.assign(y=[1.0, 2.0, 2.1], **{"q0.1": 1.0, "q0.9": 2.0})
    assert score(rows, SCALES).overall["coverage_80"] == pytest.approx(2 / 3)


def test_rows_without_quantiles_have_point_metrics_only():
    found = score(made_up(quantiles=False), SCALES)
    names = ["mae", "rmse", "mape", "smape", "mase", "bias"]
    assert list(found.overall) == names
    assert list(found.by_step.columns) == ["step", *names]


def test_an_interval_needs_both_its_ends():
    found = score(made_up().drop(columns="q0.9"), SCALES).overall
    assert {"pinball", "crps", "coverage_95", "width_95"} <= set(found)
    assert not {"coverage_80", "width_80", "relative_width_80"} & set(found)


def test_pinball_at_the_median_is_half_the_absolute_error():
    rows = made_up(quantiles=False)
    found = score(rows.assign(**{"q0.5": rows["y_hat"]}), SCALES).overall
    assert found["pinball"] == pytest.approx(found["mae"] / 2)


def test_rows_without_an_actual_are_left_out_and_counted():
    rows = made_up()
    missing = int(rows["y"].isna().sum())
    found = score(rows, SCALES)
    assert missing > 0
    assert (found.n_rows, found.n_missing) == (len(rows) - missing, missing)
    again = score(rows.dropna(), SCALES)
    assert again.overall == found.overall
    assert again.n_missing == 0


def test_a_forecast_may_be_missing_where_nothing_was_observed():
    rows = made_up()
    expected = score(rows, SCALES).overall
    rows.loc[rows["y"].isna(), "y_hat"] = np.nan
    assert score(rows, SCALES).overall == expected


@pytest.mark.parametrize("column", ["y_hat", "q0.5"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_forecast_that_is_not_finite_is_refused_and_not_skipped(column, value):
    rows = made_up().dropna()
    rows.loc[rows.index[4], column] = value
    doubled = pd.concat([rows, made_up(1).dropna()])  # an index that is not unique, as folds put together have
    with pytest.raises(OutputError) as error:
        score(doubled, SCALES)
    place = rows.iloc[4]
    assert error.value.found == f"1 that are not, first {place['unique_id']} at {place['ds']}"


def test_nothing_observed_is_an_error():
    with pytest.raises(DataError):
        score(made_up().assign(y=np.nan), SCALES)


def test_a_series_without_a_scale_is_named():
    with pytest.raises(DataError) as error:
        score(made_up(), {"a": 1.0, "c": 1.0})
    assert "b" in error.value.found


@pytest.mark.parametrize("undefined", [0.0, math.nan])
def test_an_undefined_scale_leaves_its_series_out_of_mase_alone(undefined):
    rows = made_up()
    found = score(rows, {"a": 2.0, "b": 150.0, "c": undefined})
    by_series = found.by_series.set_index("unique_id")
    assert by_series["mase"].isna().to_dict() == {"a": False, "b": False, "c": True}
    assert found.overall["mase"] == pytest.approx(by_series["mase"][["a", "b"]].mean())
    assert not by_series["mae"].isna().any()


def test_mase_is_missing_where_no_series_has_a_scale():
    assert math.isnan(score(made_up(), dict.fromkeys("abc", 0.0)).overall["mase"])


def test_a_series_of_zeros_has_no_mape():
    found = score(made_up().assign(y=0.0, y_hat=1.0), SCALES)
    assert math.isnan(found.overall["mape"])
    assert found.overall["smape"] == 1.0


def test_scoring_leaves_the_rows_as_they_were():
    rows = made_up()
    before = rows.copy()
    score(rows, SCALES)
    pd.testing.assert_frame_equal(rows, before)


def holed() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    series = {name: np.where(rng.random(40) < 0.2, np.nan, rng.normal(size=40) * 10**k) for k, name in enumerate("ab")}
    return daily_table(series)


@pytest.mark.parametrize("season", [1, 7])
def test_the_scale_is_the_mean_absolute_seasonal_difference_of_what_was_observed(season):
    panel = holed().panel
    for n in range(2):
        gaps = [abs(panel.y[n, t] - panel.y[n, t - season]) for t in range(season, 40)]
        assert scales(panel, season)[n] == pytest.approx(mean(gaps), rel=1e-12)


def test_mase_is_what_utilsforecast_makes_of_the_same_history():
    from utilsforecast import losses

    panel = daily_table({n: np.random.default_rng(k).random(50) for k, n in enumerate("abc")}).panel
    history = pd.concat([pd.DataFrame({"unique_id": n, "ds": panel.ds, "y": panel.y[i]}) for i, n in enumerate("abc")])
    rows = made_up().dropna()
    theirs = losses.mase(rows.drop(columns="cutoff"), ["y_hat"], seasonality=7, train_df=history)
    ours = score(rows, dict(zip(panel.ids, scales(panel, 7), strict=True))).by_series
    np.testing.assert_allclose(ours["mase"], theirs["y_hat"], rtol=1e-12)


def test_scales_of_constant_short_and_empty_series_are_zero_and_missing():
    panel = daily_table({"flat": [3.0] * 9, "late": [np.nan] * 3 + [1.0] * 6, "never": [np.nan] * 9}).panel
    np.testing.assert_array_equal(scales(panel, 7), [0.0, np.nan, np.nan])
    np.testing.assert_array_equal(scales(panel, 9), [np.nan] * 3)
    np.testing.assert_array_equal(scales(panel, 30), [np.nan] * 3)


def test_rows_without_a_band_count_for_points_alone():
    rows = made_up(cutoffs=9).dropna()
    holed = rows.copy()
    gone = (holed["unique_id"] == "b") | (holed["cutoff"] == holed["cutoff"].min())
    holed.loc[gone, QUANTILES] = np.nan
    found, points, bands = score(holed, SCALES), score(rows, SCALES), score(rows[~gone], SCALES)
    assert found.overall["mae"] == points.overall["mae"]
    assert found.n_rows == points.n_rows
    for name in ("pinball", "crps", "coverage_80", "width_95", "pinball_0.9"):
        assert found.overall[name] == bands.overall[name]
        by_series = found.by_series.set_index("unique_id")[name]
        assert by_series.isna().to_dict() == {"a": False, "b": True, "c": False}
        np.testing.assert_allclose(found.by_step[name], bands.by_step[name])


def test_bands_missing_everywhere_leave_nothing_to_average():
    found = score(made_up().assign(**dict.fromkeys(QUANTILES, np.nan)), SCALES)
    assert math.isnan(found.overall["pinball"])
    assert math.isnan(found.overall["coverage_80"])
    assert found.overall["mae"] > 0


@pytest.mark.parametrize("metric", metrics.RANKABLE)
@pytest.mark.parametrize("seed", range(4))
def test_losses_by_origin_add_up_to_the_score(metric, seed):
    rows = made_up(seed, cutoffs=6)
    rows.loc[rows["cutoff"] == rows["cutoff"].min(), QUANTILES] = np.nan
    scale = {"a": 2.0, "b": 300.0, "c": 0.0}
    total, count = metrics.by_origin(rows.sample(frac=1, random_state=seed), scale, metric)
    assert total.shape == count.shape == (6, 3)
    seen = count.sum(axis=0) > 0
    by_series = total.sum(axis=0)[seen] / count.sum(axis=0)[seen]
    overall = np.mean(np.sqrt(by_series) if metric == "rmse" else by_series)
    assert overall == pytest.approx(score(rows, scale).overall[metric])
    assert seen.tolist() == [True, True, metric != "mase"]
    assert (count[0].sum() == 0) == (metric in ("pinball", "crps"))
    first = rows[(rows["unique_id"] == "b") & (rows["cutoff"] == rows["cutoff"].max())]
    if metric == "mae":
        assert total[-1, 1] == pytest.approx((first["y"] - first["y_hat"]).abs().sum())
        assert count[-1, 1] == first["y"].notna().sum()
