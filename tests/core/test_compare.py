import json
import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import metrics
from daycast.core.compare import Decision, decide, improvement, leaderboard
from daycast.errors import ConfigError, ModelError, PromotionError

SCALES = {"a": 2.0, "b": 4.0}


def scored(error: float, quantiles: bool = False) -> pd.DataFrame:
    """Rows whose forecasts are all ``error`` too high."""
    steps = [(name, c, h) for name in "ba" for c in range(3) for h in (1, 2)]
    start = pd.Timestamp("2024-01-01")
    rows = pd.DataFrame(
        {
            "unique_id": [s[0] for s in steps],
            "cutoff": [start + pd.Timedelta(days=s[1]) for s in steps],
            "ds": [start + pd.Timedelta(days=s[1] + s[2]) for s in steps],
            "step": [s[2] for s in steps],
            "y": np.arange(12, dtype=float) + 10,
        }
    ).assign(y_hat=lambda r: r["y"] + error)
    rows.loc[5, "y"] = np.nan
    return rows.assign(**{"q0.1": rows["y_hat"] - 3, "q0.9": rows["y_hat"] + 1}) if quantiles else rows


def board(**errors: float) -> pd.DataFrame:
    return leaderboard({n: scored(e) for n, e in errors.items()}, SCALES, "mae", baselines={"naive", "seasonal_naive"})


def test_the_leaderboard_ranks_by_the_metric_and_shows_the_rest():
    made = board(naive=4.0, gru=-1.0, seasonal_naive=2.0)
    scores = ["mae", "rmse", "mape", "smape", "mase", "bias", "mae_low", "mae_high", "skill"]
    assert list(made.columns) == ["model", "rank", "n_rows", *scores]
    assert made["model"].tolist() == ["gru", "seasonal_naive", "naive"]
    assert made["rank"].tolist() == [1, 2, 3]
    assert made["n_rows"].tolist() == [11, 11, 11]
    np.testing.assert_allclose(made["mae"], [1, 2, 4])
    np.testing.assert_allclose(made["mase"], [0.375, 0.75, 1.5])
    np.testing.assert_allclose(made["bias"], [-1, 2, 4])


def test_skill_is_the_improvement_over_the_best_baseline():
    np.testing.assert_allclose(board(naive=4.0, gru=-1.0, seasonal_naive=2.0)["skill"], [0.5, 0.0, -1.0])


def test_there_is_no_skill_without_a_baseline():
    assert leaderboard({"gru": scored(1.0)}, SCALES, "mae")["skill"].isna().all()


def test_equal_models_are_ranked_by_name():
    assert board(z=1.0, naive=1.0, b=1.0)["model"].tolist() == ["b", "naive", "z"]


def test_every_model_has_the_score_that_its_rows_have():
    rows = scored(1.5, quantiles=True)
    line = leaderboard({"gru": rows, "naive": scored(3.0)}, SCALES, "mase").iloc[0]
    scores = metrics.score(rows, SCALES).overall
    shown = [name for name in metrics.METRICS if name in scores]
    assert {"mae", "crps", "coverage_80", "width_80"} <= set(shown)
    for name in shown:
        assert line[name] == scores[name]


def test_a_model_without_quantiles_has_no_pinball_beside_one_that_has():
    made = leaderboard({"gru": scored(1.0, quantiles=True), "naive": scored(2.0)}, SCALES, "mae")
    assert made["pinball"].isna().tolist() == [False, True]
    with pytest.raises(ModelError) as error:
        leaderboard({"gru": scored(1.0, quantiles=True), "naive": scored(2.0)}, SCALES, "pinball")
    assert "naive" in error.value.found


def test_the_choice_of_series_is_scored_alone():
    one = scored(1.0)
    one.loc[one["unique_id"] == "a", "y_hat"] += 100
    made = leaderboard({"gru": one}, SCALES, "mae", series=("b",))
    assert made["mae"].tolist() == [1.0]
    assert made["n_rows"].tolist() == [5]


def test_rows_in_another_order_are_the_same_rows():
    mixed = scored(1.0).sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(
        leaderboard({"naive": scored(2.0), "gru": mixed}, SCALES, "mae"),
        leaderboard({"naive": scored(2.0), "gru": scored(1.0)}, SCALES, "mae"),
    )


def test_a_model_with_fewer_rows_is_named_with_how_many_differ():
    with pytest.raises(ModelError) as error:
        leaderboard({"naive": scored(2.0), "gru": scored(1.0).iloc[2:]}, SCALES, "mae")
    assert "gru" in error.value.expected
    assert error.value.found == "2 rows differ"


def test_a_model_with_as_many_but_other_rows_is_refused():
    other = scored(1.0).assign(cutoff=lambda r: r["cutoff"] - pd.Timedelta(days=9))
    with pytest.raises(ModelError) as error:
        leaderboard({"naive": scored(2.0), "gru": other}, SCALES, "mae")
    assert error.value.found == "24 rows differ"


def test_rows_missing_only_outside_the_chosen_series_do_not_matter():
    partial = scored(1.0).query("unique_id == 'b'")
    made = leaderboard({"naive": scored(2.0), "gru": partial}, SCALES, "mae", series=("b",))
    assert made["model"].tolist() == ["gru", "naive"]


def test_a_row_given_twice_is_refused():
    rows = pd.concat([scored(1.0), scored(1.0).iloc[:1]])
    with pytest.raises(ModelError) as error:
        leaderboard({"gru": rows}, SCALES, "mae")
    assert error.value.found == "1 twice in gru"


@pytest.mark.parametrize("row", [0, 5])
def test_models_scored_against_other_values_are_refused(row):
    other = scored(1.0)
    other.loc[row, "y"] = 99.0
    with pytest.raises(ModelError) as error:
        leaderboard({"naive": scored(2.0), "gru": other}, SCALES, "mae")
    assert "gru" in error.value.expected
    assert error.value.found == "1 rows differ in y"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("row", [0, 5])
def test_a_missing_forecast_is_an_error_that_names_its_model(row, value):
    holed = scored(1.0)
    holed.loc[row, "y_hat"] = value
    with pytest.raises(ModelError) as error:
        leaderboard({"naive": scored(2.0), "gru": holed}, SCALES, "mae")
    assert "gru" in error.value.expected


@pytest.mark.parametrize("metric", ["bias", "coverage_80", "mea"])
def test_a_metric_that_cannot_be_ranked_by_is_refused(metric):
    with pytest.raises(ConfigError) as error:
        leaderboard({"naive": scored(1.0)}, SCALES, metric)
    assert error.value.found == metric


def test_a_metric_without_a_value_cannot_rank():
    with pytest.raises(ModelError):
        leaderboard({"naive": scored(1.0)}, dict.fromkeys("ab", 0.0), "mase")
    with pytest.raises(ModelError):
        leaderboard({"naive": scored(1.0)}, SCALES, "pinball")


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ModelError):
        leaderboard({}, SCALES, "mae")
    with pytest.raises(ModelError):
        leaderboard({"naive": scored(1.0)}, SCALES, "mae", series=("tram",))


BASELINES = {"naive", "seasonal_naive"}


def figures(**mase: float) -> pd.DataFrame:
    return pd.DataFrame({"model": list(mase), "n_rows": 10, "mase": list(mase.values())})


def test_a_model_that_beats_the_best_baseline_by_the_margin_wins():
    verdict = decide(figures(naive=1.2, gru=0.612, seasonal_naive=0.801), BASELINES, 0.02, "mase")
    assert (verdict.winner, verdict.is_baseline, verdict.promote) == ("gru", False, True)
    assert verdict.reasons[0] == (
        "gru: mase 0.612 against 0.801 of seasonal_naive, 23.6 % better, 2.0 % required: passed"
    )
    assert verdict.reasons[-1].startswith("gru wins")
    (check,) = verdict.checks
    assert check["passed"] is True
    assert check["value"] == pytest.approx(1 - 0.612 / 0.801)
    assert check["threshold"] == 0.02
    assert check["name"] == "gru beats seasonal_naive"


def test_the_best_baseline_wins_where_no_model_beats_it_by_the_margin():
    verdict = decide(figures(gru=0.79, naive=1.2, seasonal_naive=0.80, lstm=0.9), BASELINES, 0.02, "mase")
    assert (verdict.winner, verdict.is_baseline, verdict.promote) == ("seasonal_naive", True, True)
    assert [c["passed"] for c in verdict.checks] == [False, False]
    assert "1.2 % better, 2.0 % required: failed" in verdict.reasons[0]
    assert "12.5 % worse" in verdict.reasons[1]
    assert verdict.reasons[-1].startswith("seasonal_naive wins")


def test_the_best_of_those_that_pass_wins_whatever_the_order_of_the_board():
    verdict = decide(figures(lstm=0.7, gru=0.6, naive=1.0), BASELINES, 0.02, "mase")
    assert verdict.winner == "gru"
    assert [c["name"] for c in verdict.checks] == ["gru beats naive", "lstm beats naive"]


def test_an_improvement_of_exactly_the_margin_is_enough():
    assert decide(figures(naive=1.0, gru=0.75), BASELINES, 0.25, "mase").winner == "gru"
    assert decide(figures(naive=1.0, gru=0.7501), BASELINES, 0.25, "mase").winner == "naive"


def test_a_tie_is_no_improvement_even_without_a_margin():
    assert decide(figures(naive=1.0, gru=1.0), BASELINES, 0.0, "mase").winner == "naive"
    assert decide(figures(naive=1.0, gru=0.999), BASELINES, 0.0, "mase").winner == "gru"


def test_nothing_can_better_a_perfect_baseline():
    verdict = decide(figures(naive=0.0, gru=0.0, lstm=0.1), BASELINES, 0.0, "mase")
    assert verdict.winner == "naive"
    assert improvement(0.1, 0.0) == 0.0


def test_a_board_of_baselines_has_its_best_as_winner_and_no_checks():
    verdict = decide(figures(naive=1.0, seasonal_naive=0.9), BASELINES, 0.02, "mase")
    assert (verdict.winner, verdict.checks) == ("seasonal_naive", ())
    assert verdict.reasons == ("seasonal_naive wins: the best baseline, mase 0.900, and nothing else was compared",)


def test_a_near_miss_is_written_with_enough_digits_to_be_seen():
    (reason, _) = decide(figures(naive=1.0, gru=0.98004), BASELINES, 0.02, "mase").reasons
    assert "1.9960 % better, 2.0 % required: failed" in reason


def test_large_and_small_figures_are_readable():
    reasons = decide(figures(naive=41274.2, gru=22062.4), BASELINES, 0.02, "mase").reasons
    assert "22,062 against 41,274" in reasons[0]
    reasons = decide(figures(naive=0.0123456, gru=0.00123456), BASELINES, 0.02, "mase").reasons
    assert "0.00123 against 0.0123" in reasons[0]


def test_a_board_without_a_baseline_cannot_be_decided():
    with pytest.raises(PromotionError) as error:
        decide(figures(gru=0.5), BASELINES, 0.02, "mase")
    assert "gru" in error.value.found


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_figures_that_are_not_finite_cannot_be_decided(value):
    with pytest.raises(PromotionError):
        decide(figures(naive=1.0, gru=value), BASELINES, 0.02, "mase")


def test_scores_over_different_rows_cannot_be_decided():
    with pytest.raises(PromotionError):
        decide(figures(naive=1.0, gru=0.5).assign(n_rows=[10, 9]), BASELINES, 0.02, "mase")


def test_a_decision_goes_to_json_and_back():
    verdict = decide(figures(naive=1.0, gru=0.5, lstm=2.0), BASELINES, 0.02, "mase")
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert Decision.from_json(json.loads(text)) == verdict


def test_a_leaderboard_can_be_decided_as_it_is():
    verdict = decide(board(naive=4.0, gru=-1.0, seasonal_naive=2.0), BASELINES, 0.02, "mae")
    assert verdict.winner == "gru"
    assert json.dumps(verdict.to_json(), allow_nan=False)
