import json
import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import metrics, verdict
from daycast.core.compare import judge, leaderboard
from daycast.core.significance import Lead, lead
from daycast.core.verdict import Decision, Gate, improvement
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


def decide(board: pd.DataFrame, baselines: set[str], margin: float, metric: str, **leads: Lead) -> Decision:
    """The verdict, by the margin alone where no leads are given."""
    return verdict.decide(board, baselines, margin, metric, leads)


def by(low: float | None) -> Lead:
    return Lead(low, 0.975, 25, 2)


def test_a_model_that_beats_the_best_baseline_by_the_margin_wins():
    made = decide(figures(naive=1.2, gru=0.612, seasonal_naive=0.801), BASELINES, 0.02, "mase")
    assert (made.winner, made.is_baseline, made.promote) == ("gru", False, True)
    assert made.reasons[0] == ("gru: mase 0.612 against 0.801 of seasonal_naive, 23.6 % better, 2.0 % required: passed")
    assert made.reasons[-1].startswith("gru wins")
    (check,) = made.checks
    assert check["passed"] is True
    assert check["value"] == pytest.approx(1 - 0.612 / 0.801)
    assert check["threshold"] == 0.02
    assert check["name"] == "gru beats seasonal_naive"


def test_the_best_baseline_wins_where_no_model_beats_it_by_the_margin():
    made = decide(figures(gru=0.79, naive=1.2, seasonal_naive=0.80, lstm=0.9), BASELINES, 0.02, "mase")
    assert (made.winner, made.is_baseline, made.promote) == ("seasonal_naive", True, True)
    assert [c["passed"] for c in made.checks] == [False, False]
    assert "1.2 % better, 2.0 % required: failed" in made.reasons[0]
    assert "12.5 % worse" in made.reasons[1]
    assert made.reasons[-1].startswith("seasonal_naive wins")


def test_the_best_of_those_that_pass_wins_whatever_the_order_of_the_board():
    made = decide(figures(lstm=0.7, gru=0.6, naive=1.0), BASELINES, 0.02, "mase")
    assert made.winner == "gru"
    assert [c["name"] for c in made.checks] == ["gru beats naive", "lstm beats naive"]


def test_an_improvement_of_exactly_the_margin_is_enough():
    assert decide(figures(naive=1.0, gru=0.75), BASELINES, 0.25, "mase").winner == "gru"
    assert decide(figures(naive=1.0, gru=0.7501), BASELINES, 0.25, "mase").winner == "naive"


def test_a_tie_is_no_improvement_even_without_a_margin():
    assert decide(figures(naive=1.0, gru=1.0), BASELINES, 0.0, "mase").winner == "naive"
    assert decide(figures(naive=1.0, gru=0.999), BASELINES, 0.0, "mase").winner == "gru"


def test_nothing_can_better_a_perfect_baseline():
    made = decide(figures(naive=0.0, gru=0.0, lstm=0.1), BASELINES, 0.0, "mase")
    assert made.winner == "naive"
    assert improvement(0.1, 0.0) == 0.0


def test_a_board_of_baselines_has_its_best_as_winner_and_no_checks():
    made = decide(figures(naive=1.0, seasonal_naive=0.9), BASELINES, 0.02, "mase")
    assert (made.winner, made.checks) == ("seasonal_naive", ())
    assert made.reasons == ("seasonal_naive wins: the best baseline, mase 0.900, and nothing else was compared",)


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
    made = decide(figures(naive=1.0, gru=0.5, lstm=2.0), BASELINES, 0.02, "mase")
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Decision.from_json(json.loads(text)) == made


def test_a_leaderboard_can_be_decided_as_it_is():
    made = decide(board(naive=4.0, gru=-1.0, seasonal_naive=2.0), BASELINES, 0.02, "mae")
    assert made.winner == "gru"
    assert json.dumps(made.to_json(), allow_nan=False)


def test_a_lead_must_also_be_sure():
    made = decide(
        figures(gru=0.5, lstm=0.6, naive=1.0, linear=0.995),
        BASELINES,
        0.02,
        "mase",
        gru=by(-0.012),
        lstm=by(0.1234),
        linear=by(0.001),
    )
    assert (made.winner, made.is_baseline) == ("lstm", False)
    assert [(c["name"], c["passed"], c["threshold"]) for c in made.checks] == [
        ("gru beats naive", True, 0.02),
        ("gru beats naive by more than chance", False, 0.0),
        ("lstm beats naive", True, 0.02),
        ("lstm beats naive by more than chance", True, 0.0),
        ("linear beats naive", False, 0.02),
        ("linear beats naive by more than chance", True, 0.0),
    ]
    assert [c["value"] for c in made.checks[1::2]] == [-0.012, 0.1234, 0.001]
    assert made.reasons[1] == ("gru: maybe 1.2 % worse, with 97.5 % confidence from 25 origins in blocks of 2: failed")
    assert made.reasons[3] == (
        "lstm: 12.3 % better at least, with 97.5 % confidence from 25 origins in blocks of 2: passed"
    )
    assert made.reasons[-1] == "lstm wins: the lowest mase of those that passed"


def test_where_no_lead_is_sure_the_best_baseline_wins():
    made = decide(figures(gru=0.5, naive=1.0, lstm=40.0), BASELINES, 0.02, "mase", gru=by(-0.1), lstm=by(-1234.5))
    assert made.winner == "naive"
    assert made.reasons[-1] == "naive wins: the best baseline, mase 1.000, and no model beats it by enough and surely"
    assert "maybe 123,450 % worse" in made.reasons[3]


def test_too_few_origins_fail_with_what_to_do():
    made = decide(figures(gru=0.5, naive=1.0), BASELINES, 0.02, "mase", gru=by(None))
    assert made.winner == "naive"
    assert made.checks[1] == {
        "name": "gru beats naive by more than chance",
        "passed": False,
        "value": None,
        "threshold": 0.0,
    }
    assert "25 origins in blocks of 2 are too few" in made.reasons[1]
    assert "backtest.n_targets" in made.reasons[1]
    assert "promotion.significance=null" in made.reasons[1]
    assert Decision.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False))) == made


def noisy(seed: int, size: float, origins: int = 20) -> pd.DataFrame:
    """Rows of two series, one step ahead, with errors of about ``size``."""
    errors = np.random.default_rng(seed).normal(0, size, (2, origins))
    days = pd.date_range("2024-01-01", periods=origins)
    one = {"cutoff": days, "ds": days + pd.Timedelta(days=1), "step": 1, "y": 50.0}
    return pd.concat(
        [pd.DataFrame({"unique_id": s, **one, "y_hat": 50 + e}) for s, e in zip("ab", errors, strict=True)]
    )


def test_the_gate_takes_a_clear_winner_and_no_lucky_one():
    scored = {"naive": noisy(0, 4.0), "gru": noisy(1, 1.0), "lstm": noisy(11, 3.6)}
    board, made = judge(scored, SCALES, "mase", None, BASELINES, Gate(0.02, 0.05))
    pd.testing.assert_frame_equal(board, leaderboard(scored, SCALES, "mase", None, BASELINES))
    assert made.winner == "gru"
    assert [c["passed"] for c in made.checks] == [True, True, True, False]
    lucky = {name: rows for name, rows in scored.items() if name != "gru"}
    assert judge(lucky, SCALES, "mase", None, BASELINES, Gate(0.02, 0.05))[1].winner == "naive"
    assert judge(lucky, SCALES, "mase", None, BASELINES, Gate(0.02, None))[1].winner == "lstm"


def test_the_chance_is_shared_among_those_that_compete_and_baselines_do_not():
    scored = {"naive": noisy(0, 4.0), "seasonal_naive": noisy(3, 9.0)}
    scored |= {name: noisy(seed, 3.6) for seed, name in enumerate(("gru", "lstm", "linear"), 4)}
    made = judge(scored, SCALES, "mae", None, BASELINES, Gate(0.02, 0.06))[1]
    found = {c["name"]: c["value"] for c in made.checks}
    for name in ("gru", "lstm", "linear"):
        alone = lead(scored[name], scored["naive"], SCALES, "mae", 0.02)
        assert found[f"{name} beats naive by more than chance"] == pytest.approx(alone.low, rel=1e-6)
    assert "98 % confidence" in made.reasons[1]


def test_a_lead_is_over_the_best_baseline_on_the_chosen_series():
    scored = {name: noisy(seed, 4.0) for seed, name in enumerate(("naive", "seasonal_naive", "gru"))}
    scored["naive"].loc[lambda r: r["unique_id"] == "a", "y_hat"] += 100  # the best on b alone
    scored["naive"].loc[lambda r: r["unique_id"] == "b", "y_hat"] = 51.0
    made = judge(scored, SCALES, "rmse", ("b",), BASELINES, Gate(0.0, 0.05))[1]
    assert made.checks[1]["name"] == "gru beats naive by more than chance"
    of_b = [scored[name].query("unique_id == 'b'") for name in ("gru", "naive")]
    assert made.checks[1]["value"] == lead(*of_b, SCALES, "rmse", 0.05).low


def test_baselines_alone_are_judged_too():
    made = judge({"naive": noisy(0, 4.0)}, SCALES, "mae", None, BASELINES, Gate(0.02, 0.05))[1]
    assert (made.winner, made.checks) == ("naive", ())


def test_noise_is_not_promoted_over_its_mean():
    """Forecasts of a constant beside the mean of 25 values of noise, three at once: as the control has them."""
    by_margin = surely = 0
    days = pd.date_range("2024-01-01", periods=25)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        one = {"unique_id": "a", "cutoff": days, "ds": days + pd.Timedelta(days=1), "step": 1}
        values = pd.DataFrame({**one, "y": rng.integers(0, 10, 25).astype(float)})
        scored = {f"m{i}": values.assign(y_hat=4.5 + rng.normal(0, 0.7)) for i in range(3)}
        made = judge({**scored, "naive": values.assign(y_hat=4.5)}, SCALES, "rmse", None, BASELINES, Gate(0.02, 0.05))
        by_margin += any(check["passed"] for check in made[1].checks[::2])
        surely += made[1].winner != "naive"
    assert by_margin >= 3
    assert surely == 0
