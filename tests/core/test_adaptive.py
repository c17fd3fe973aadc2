import math

import numpy as np
import pandas as pd
import pytest

from daycast.core.adaptive import Pace, adapted_head_offsets, adapted_offsets, adaptive, adaptive_head
from daycast.core.conformal import LEVELS, SHARE, calibrated, head_offsets, offsets
from daycast.core.forecast import band
from daycast.core.intervals import scores
from daycast.errors import ModelError
from tests.core.builders import issued_both_ways

NAMES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]
START = pd.Timestamp("2020-01-01")
DAY = pd.Timedelta(days=1)


def walk(n: int, names=("a",), steps=(1, 3), seed: int = 0, every: int = 1) -> pd.DataFrame:
    """Forecasts of 100 from n origins, each ``every`` days; what comes is noise around it."""
    rng = np.random.default_rng(seed)
    rows = [
        {"unique_id": name, "cutoff": START + every * c * DAY, "ds": START + (every * c + h) * DAY, "step": h}
        for c in range(n)
        for name in names
        for h in steps
    ]
    return pd.DataFrame(rows).assign(y_hat=100.0, y=100.0 + rng.normal(size=len(rows)).round(4))


def halves(rows: pd.DataFrame, calibration: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to calibrate with, and the others in an order that tells nothing."""
    early = rows["cutoff"] < START + calibration * DAY
    return rows[early], rows[~early].sample(frac=1, random_state=0)


def covered(rows: pd.DataFrame, low: str, high: str) -> pd.Series:
    return (rows["y"] >= rows[low]) & (rows["y"] <= rows[high])


def statistic(ordered: list[float], working: float, level: float) -> float:
    """The order statistic at a working level, rounded outwards from the median."""
    place = round((len(ordered) + 1) * working, 9)
    down, up = math.floor(place), math.ceil(place)
    ends = (down, down) if level < 0.5 else (up, up) if level > 0.5 else (down, up)
    return sum(ordered[min(max(k, 1), len(ordered)) - 1] for k in ends) / 2


def slow(rows: pd.DataFrame, first: pd.Timestamp, rate: float, window: int) -> dict[tuple, list[float]]:
    """The quantiles of one series by the rules, an origin and a level at a time, with everything worked out anew."""
    every = [{**row, "error": row["y"] - row["y_hat"]} for row in rows.sort_values("cutoff").to_dict("records")]
    issued: dict[tuple, list[float]] = {}
    for step in sorted(set(rows["step"])):
        own = [row for row in every if row["step"] == step]
        working, counted = list(LEVELS), set()
        for row in own:
            came = [past for past in own if past["ds"] <= row["cutoff"] and past["error"] == past["error"]]
            for past in came:
                key = (past["cutoff"], step)
                if key in counted or key not in issued:
                    continue
                counted.add(key)
                for q, level in enumerate(LEVELS):
                    edge = issued[key][q]
                    below = past["error"] < edge if level < 0.5 else past["error"] <= edge
                    working[q] = min(max(working[q] + rate * (level - below), 0.0), 1.0)
            if len(came) < 39:
                came = [past for past in every if past["ds"] <= row["cutoff"] and past["error"] == past["error"]]
                came.sort(key=lambda past: past["ds"])
            if len(came) < 39:
                continue
            most = window * len({past["step"] for past in came})
            errors = sorted([past["error"] for past in came][-most:])
            made = []
            for q, level in enumerate(LEVELS):
                made.append(statistic(errors, working[q], level))
            issued[(row["cutoff"], step)] = sorted(made)
    return {key: values for key, values in issued.items() if key[0] >= first}


@pytest.mark.parametrize(("rate", "window"), [(0.0, 45), (0.03, 60), (0.2, 1000)])
def test_quantiles_equal_those_of_the_rules_worked_out_one_at_a_time(rate, window):
    rows = walk(130)
    rows.loc[rows["cutoff"] > START + 90 * DAY, "y"] += 3.0  # a shift, and holes
    rows.loc[::11, "y"] = np.nan
    calibration, test = halves(rows, 80)
    found = adaptive(test, calibration, pace=Pace(rate, window))
    assert list(found.columns) == [*rows.columns, *NAMES]
    assert found.index.equals(test.index)
    expected = slow(rows, START + 80 * DAY, rate, window)
    assert len(expected) == len(test)
    for row in found.to_dict("records"):
        np.testing.assert_allclose(
            [row[n] - row["y_hat"] for n in NAMES], expected[(row["cutoff"], row["step"])], atol=1e-9
        )


@pytest.mark.parametrize("scale", ["additive", "relative"])
def test_what_comes_after_a_cutoff_moves_no_interval_issued_at_or_before_it(scale):
    rows = walk(150, names=("a", "b"), steps=(1, 2, 7))
    calibration, test = halves(rows)
    before = adaptive(test, calibration, scale=scale, pace=Pace(0.05))
    rng = np.random.default_rng(1)
    for cut in (START + 60 * DAY, START + 75 * DAY, START + 110 * DAY):
        other_calibration, other = (
            part.assign(y=np.where(part["ds"] > cut, 1e5 * rng.normal(size=len(part)), part["y"]))
            for part in (calibration, test)
        )
        after = adaptive(other, other_calibration, scale=scale, pace=Pace(0.05))
        old = test["cutoff"] <= cut
        pd.testing.assert_frame_equal(after.loc[old, NAMES], before.loc[old, NAMES], check_exact=True)
        later = test["cutoff"] > cut + 7 * DAY
        assert (after.loc[later, "q0.975"] != before.loc[later, "q0.975"]).all()


def test_a_new_forecast_behind_the_old_ones_has_the_quantiles_it_will_have_when_all_has_come():
    calibration, test = halves(walk(120))
    known = test.assign(y=test["y"].where(test["ds"] <= test["cutoff"].max()))
    assert known["y"].isna().sum() == 1 + 3
    newest = test["cutoff"] == test["cutoff"].max()
    found, whole = adaptive(known, calibration), adaptive(test, calibration)
    assert found[NAMES].notna().all(axis=None)
    pd.testing.assert_frame_equal(found.loc[newest, NAMES], whole.loc[newest, NAMES])


def test_the_first_forecasts_of_a_rolling_window_are_those_of_split_conformal():
    calibration, test = halves(walk(100))
    first = test[test["cutoff"] == test["cutoff"].min()]
    known = calibration[calibration["ds"] <= first["cutoff"].iloc[0]]
    expected = band(first, offsets(known))
    pd.testing.assert_frame_equal(adaptive(first, calibration, pace=Pace(rate=0.0)), expected)


@pytest.mark.parametrize("scale", ["additive", "relative"])
@pytest.mark.parametrize("late", [0, 5], ids=["all has come", "the last five days are missing"])
def test_a_live_origin_behind_the_rows_has_the_bands_that_the_adapted_offsets_give_it(scale, late):
    rows = walk(130, names=("a", "b"), steps=(1, 2, 7))
    rows["y_hat"] += np.where(rows["ds"].dt.dayofweek >= 5, -60.0, 0.0)
    rows.loc[rows["cutoff"] > START + 90 * DAY, "y"] += 3.0
    rows.loc[::11, "y"] = np.nan
    rows.loc[rows["ds"] > rows["ds"].max() - late * DAY, "y"] = np.nan
    calibration, test = halves(rows)
    now = rows.loc[rows["y"].notna(), "ds"].max()
    live = rows[rows["cutoff"] == rows["cutoff"].max()].assign(cutoff=now, y_hat=[40.0, 7.0, -3.0] * 2, y=np.nan)
    live["ds"] = now + live["step"] * DAY
    given = {"scale": scale, "pace": Pace(0.03, 45)}
    walked = adaptive(pd.concat([test, live]), calibration, **given, floor=1.0).iloc[len(test) :]
    made = adapted_offsets(test, calibration, **given)
    pd.testing.assert_frame_equal(band(live, made, floor=1.0), walked, check_exact=True)
    assert list(made.index) == [(name, step) for name in "ab" for step in (1, 2, 7)]
    issued = band(test, offsets(calibration, scale=scale), floor=1.0).iloc[:6]
    assert not np.isclose(issued["q0.9"] - issued["y_hat"], made["q0.9"]).any()  # they have moved on


def test_adapted_offsets_are_missing_for_a_series_that_has_too_few_residuals_and_are_there_for_one_that_left():
    rows = walk(70, names=("a", "b", "c"))
    rows.loc[rows["unique_id"] == "b", "y"] = np.nan
    calibration, test = halves(rows)
    made = adapted_offsets(test[test["unique_id"] != "c"], calibration)
    assert made.isna().all(axis=1).groupby("unique_id").mean().to_dict() == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert list(made.columns) == NAMES


def test_coverage_recovers_after_a_break_that_split_conformal_never_gets_over():
    rows = walk(1200, steps=(1, 7), every=1)
    late = rows["cutoff"] >= START + 400 * DAY
    rows.loc[late, "y"] = 110 + 4 * (rows.loc[late, "y"] - 100)
    calibration, test = halves(rows, 300)
    settled = test["cutoff"] >= START + 500 * DAY

    assert covered(band(test, offsets(calibration)), "q0.025", "q0.975")[settled].mean() < 0.1
    followed = adaptive(test, calibration)[settled]
    assert covered(followed, "q0.1", "q0.9").mean() == pytest.approx(0.8, abs=0.03)
    assert covered(followed, "q0.025", "q0.975").mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("rate", [0.005, 0.05])
def test_misses_are_bounded_over_the_long_run_for_errors_that_only_swell(rate):
    rows = walk(1500, steps=(1,))
    rows["y"] = 100 + (rows["y"] - 100) * 1.002 ** np.arange(len(rows))
    found = adaptive(*reversed(halves(rows, 300)), pace=Pace(rate))
    inside = (found["y"] >= found["q0.1"]) & (found["y"] <= found["q0.9"])
    assert inside.mean() == pytest.approx(0.8, abs=0.03)


def test_quantiles_never_cross_and_keep_to_the_floor():
    rows = walk(300, names=("a", "b"))
    rows["y"] += np.where(rows["cutoff"] > START + 150 * DAY, -5.0, 0.0)
    calibration, test = halves(rows)
    found = adaptive(test, calibration, pace=Pace(0.3, 40), floor=98.5)[NAMES].to_numpy()
    assert (np.diff(found, axis=1) >= 0).all()
    assert found.min() == 98.5


def test_relative_intervals_are_shares_of_the_forecast_s_size():
    rows = walk(200)
    rows["y_hat"] = np.where(rows["ds"].dt.dayofweek >= 5, 50.0, 500.0)
    rows["y"] = rows["y_hat"] * (rows["y"] / 100)
    rows.loc[rows["cutoff"] > START + 190 * DAY, "y_hat"] = 0.0
    calibration, test = halves(rows)
    found = adaptive(test, calibration, scale="relative", pace=Pace(rate=0.0))
    size = found["y_hat"].clip(lower=SHARE * calibration["y_hat"].mean())
    share = (found["q0.9"] - found["q0.1"]) / size
    assert share.between(0.015, 0.04).all()


def test_a_step_with_too_few_residuals_takes_those_of_all_its_series_steps_and_none_where_these_are_too_few():
    rows = walk(40, names=("a", "b"), steps=(1, 2, 3))
    rows.loc[(rows["unique_id"] == "b") & (rows["cutoff"] < START + 30 * DAY), "y"] = np.nan
    calibration, test = halves(rows, 20)
    found = adaptive(test, calibration, pace=Pace(rate=0.0))
    missing = found[NAMES].isna()
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    assert missing.all(axis=1).groupby(found["unique_id"]).mean().to_dict() == {"a": 0.0, "b": 1.0}
    at = (found["unique_id"] == "a") & (found["cutoff"] == START + 20 * DAY)
    assert found.loc[at, NAMES].nunique().eq(1).all()  # the same of every step


def test_nothing_to_calibrate_with_leaves_the_rows_to_learn_from_themselves():
    rows = walk(60)
    found = adaptive(rows, rows.iloc[:0])
    assert found["q0.5"].isna().groupby(rows["cutoff"]).all().sum() > 10
    assert found.loc[rows["cutoff"] > START + 50 * DAY, NAMES].notna().all(axis=None)
    assert adaptive(rows.iloc[:0], rows)[NAMES].empty


def learned(n: int, steps=(1, 3), names=("a",), seed: int = 0) -> pd.DataFrame:
    """As ``walk``, noisier on two days of seven, with quantiles that know it but are a fifth too narrow."""
    rows = walk(n, names, steps, seed)
    size = np.where(rows["ds"].dt.dayofweek >= 5, 8.0, 1.0)
    rows["y"] = rows["y_hat"] + size * (rows["y"] - rows["y_hat"])
    normal = np.array([-1.96, -1.28, 0.0, 1.28, 1.96])
    return rows.assign(**{name: rows["y_hat"] + 0.8 * z * size for name, z in zip(NAMES, normal, strict=True)})


def slow_head(rows: pd.DataFrame, first: pd.Timestamp, rate: float, window: int) -> dict[tuple, list[float]]:
    """Calibrated quantiles of one series, a level and an origin at a time, each from all that its cutoff knows."""
    every = rows.sort_values("cutoff").to_dict("records")
    issued: dict[tuple, list[float]] = {}

    def known(of: list[dict], now: pd.Timestamp) -> list[dict]:
        return sorted((r for r in of if r["ds"] <= now and r["y"] == r["y"]), key=lambda r: r["ds"])

    for row in every:
        own = [other for other in every if other["step"] == row["step"]]
        came = known(own, row["cutoff"])
        past, most = (came, window) if len(came) >= 39 else (known(every, row["cutoff"]), window * len({*rows["step"]}))
        if len(past) < 39:
            continue
        made = []
        for q, (name, level) in enumerate(zip(NAMES, LEVELS, strict=True)):
            working = level  # by all misses of the quantiles issued at this step, in the order in which they were known
            for one in came:
                if (one["cutoff"], one["step"]) in issued:
                    edge = issued[(one["cutoff"], one["step"])][q]
                    below = one["y"] < edge if level < 0.5 else one["y"] <= edge
                    working = min(max(working + rate * (level - below), 0.0), 1.0)
            missed = sorted(r["y"] - r[name] for r in past[-most:])
            made.append(row[name] + statistic(missed, working, level))
        issued[(row["cutoff"], row["step"])] = sorted(made)
    return {key: values for key, values in issued.items() if key[0] >= first}


@pytest.mark.parametrize(("rate", "window"), [(0.0, 45), (0.03, 60), (0.2, 1000)])
def test_learned_quantiles_are_moved_by_the_rules_worked_out_one_at_a_time(rate, window):
    rows = learned(120)
    rows.loc[rows["cutoff"] > START + 90 * DAY, "y"] += 3.0  # a shift, and holes
    rows.loc[::11, "y"] = np.nan
    calibration, test = halves(rows, 80)
    found = adaptive_head(test, calibration, Pace(rate, window))
    expected = slow_head(rows, START + 80 * DAY, rate, window)
    assert len(expected) == len(test)
    assert found.index.equals(test.index)
    for row in found.to_dict("records"):
        np.testing.assert_allclose([row[n] for n in NAMES], expected[(row["cutoff"], row["step"])], atol=1e-9)


def test_what_comes_after_a_cutoff_moves_no_learned_quantile_issued_at_or_before_it():
    rows = learned(150, names=("a", "b"), steps=(1, 2, 7))
    calibration, test = halves(rows)
    before = adaptive_head(test, calibration, Pace(0.05))
    rng = np.random.default_rng(1)
    for cut in (START + 60 * DAY, START + 75 * DAY, START + 110 * DAY):
        others = (
            part.assign(y=np.where(part["ds"] > cut, 1e5 * rng.normal(size=len(part)), part["y"]))
            for part in (test, calibration)
        )
        after = adaptive_head(*others, Pace(0.05))
        old = test["cutoff"] <= cut
        pd.testing.assert_frame_equal(after.loc[old, NAMES], before.loc[old, NAMES], check_exact=True)
        later = test["cutoff"] > cut + 7 * DAY
        assert (after.loc[later, "q0.975"] != before.loc[later, "q0.975"]).all()


@pytest.mark.parametrize("late", [0, 5], ids=["all has come", "the last five days are missing"])
def test_a_live_origin_has_the_learned_quantiles_that_the_adapted_offsets_give_it(late):
    rows = learned(130, names=("a", "b"), steps=(1, 2, 7))
    rows.loc[rows["cutoff"] > START + 90 * DAY, "y"] += 3.0
    rows.loc[rows["ds"] > rows["ds"].max() - late * DAY, "y"] = np.nan
    calibration, test = halves(rows)
    now = rows.loc[rows["y"].notna(), "ds"].max()
    live = rows[rows["cutoff"] == rows["cutoff"].max()].assign(cutoff=now, y=np.nan)
    live["ds"] = now + live["step"] * DAY
    pace = Pace(0.03, 45)
    walked = adaptive_head(pd.concat([test, live]), calibration, pace, floor=97.0).iloc[len(test) :]
    made = adapted_head_offsets(test, calibration, pace)
    pd.testing.assert_frame_equal(calibrated(live, made, floor=97.0), walked, check_exact=True)
    assert list(made.index) == [(name, step) for name in "ab" for step in (1, 2, 7)]
    assert walked[NAMES].min(axis=None) >= 97.0
    assert not np.isclose(head_offsets(calibration)["q0.9"], made["q0.9"]).any()  # they have moved on


def test_learned_quantiles_never_cross_however_far_their_levels_have_moved():
    rows = learned(300)
    crossing = [f"q{level:g}" for level in LEVELS]
    rows[crossing] = rows[crossing[::-1]].to_numpy()  # a model that has them the wrong way round
    calibration, test = halves(rows)
    found = adaptive_head(test, calibration, Pace(0.3, 40), floor=98.5)[NAMES].to_numpy()
    assert (np.diff(found, axis=1) >= 0).all()
    assert found.min() == 98.5


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_learned_quantiles_are_sharper_than_bands_around_the_point_where_some_days_are_noisier(method):
    calibration, test = halves(learned(1500), 700)
    own, around = issued_both_ways(test, calibration, method)
    of_own, of_point = (scores(rows.drop(columns="cutoff"), ["unique_id"]).iloc[0] for rows in (own, around))
    for share in (80, 95):
        for of in (of_own, of_point):
            assert of[f"coverage_{share}"] == pytest.approx(share / 100, abs=0.03)
    assert of_own["width_95"] < 0.6 * of_point["width_95"]
    assert of_own["crps"] < 0.85 * of_point["crps"]
    noisy = own["ds"].dt.dayofweek >= 5
    shares = [covered(rows, "q0.1", "q0.9").groupby(noisy).mean() for rows in (own, around)]
    assert shares[0].between(0.65, 0.9).all()
    assert shares[1][True] < 0.4 < 0.95 < shares[1][False]


def test_quantiles_that_are_not_there_can_not_be_followed():
    calibration, test = halves(walk(70))
    with pytest.raises(ModelError):
        adaptive_head(test, calibration)


@pytest.mark.parametrize("pace", [Pace(-0.1), Pace(1.0), Pace(window=38)])
def test_a_pace_that_is_none_is_refused(pace):
    with pytest.raises(ModelError):
        adaptive(*reversed(halves(walk(70))), pace=pace)


def test_calibration_that_reaches_into_the_rows_is_refused():
    rows = walk(70)
    with pytest.raises(ModelError) as error:
        adaptive(rows[rows["cutoff"] >= START + 50 * DAY], rows[rows["cutoff"] <= START + 50 * DAY])
    assert error.value.found == "2020-02-20 00:00:00 there, 2020-02-20 00:00:00 here"
