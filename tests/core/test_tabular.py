"""Rows of signals, each feature against the sentence that describes it."""

from dataclasses import replace

import numpy as np

from daycast.core.signals import signals
from daycast.core.tabular import CODES, Source
from tests.core.eventful import AHEAD, KNOWN, LABELS, LEVELS, NAMES, RECIPE, STEPS, WHOLE, Y, future

SIGNALS = signals(WHOLE, future(), Y, RECIPE, AHEAD)
ORIGIN, STEP = np.asarray([STEPS - 1, 120, 0]), np.asarray([14, 3, 1])


def source(dummies=False, lags=2, history=WHOLE):
    return Source.of(history, future(), SIGNALS, RECIPE, lags, dummies)


def feature(name, series=0, others=(1,), **changes):
    x, names = source(**changes).rows(series, others, ORIGIN, STEP)
    assert x.shape == (3, len(names))
    return x[:, names.index(name)]


def test_the_first_feature_is_the_step():
    assert source().rows(0, [], ORIGIN, STEP)[1][0] == "step"
    assert feature("step").tolist() == [14, 3, 1]


def test_known_features_and_classes_are_those_of_the_target():
    target = ORIGIN + STEP
    np.testing.assert_array_equal(feature("day_of_week=Tue"), KNOWN[target, 1])
    np.testing.assert_array_equal(feature("class"), SIGNALS.classes[0][target])


def test_an_event_is_told_by_its_code_at_target_and_origin():
    (first, _) = np.flatnonzero(LABELS == "fair")
    x, names = source().rows(0, [], np.asarray([first - 3, first]), np.asarray([3, 3]))
    assert x[:, names.index("event")].tolist() == [LEVELS.index("fair"), 0]
    assert x[:, names.index("event_at_origin")].tolist() == [0, LEVELS.index("fair")]
    assert not any(name.startswith("event=") for name in names)


def test_or_by_its_columns():
    names = source(dummies=True).rows(0, [], ORIGIN, STEP)[1]
    assert set(NAMES) < set(names)
    assert not set(CODES) & set(names)


def test_signals_told_ahead_are_those_of_the_target_and_observed_ones_those_of_the_origin():
    for k, name in enumerate(RECIPE.ahead):
        np.testing.assert_array_equal(feature(name), SIGNALS.ahead[0, ORIGIN + STEP, k])
        np.testing.assert_array_equal(feature(f"other1_{name}"), SIGNALS.ahead[1, ORIGIN + STEP, k])
    for k, name in enumerate(RECIPE.observed):
        np.testing.assert_array_equal(feature(name), SIGNALS.observed[0, ORIGIN, k])
        np.testing.assert_array_equal(feature(f"other1_{name}"), SIGNALS.observed[1, ORIGIN, k])


def test_the_newest_of_the_targets_class_are_told_as_known_at_the_origin():
    newer = SIGNALS.newer(ORIGIN, ORIGIN + STEP)[:, :, 0]
    np.testing.assert_array_equal(feature("newest"), newer[0])
    np.testing.assert_array_equal(feature("other1_newest"), newer[1])


def test_lags_are_the_innovations_before_the_origin_and_missing_before_the_history():
    innovation = SIGNALS.observed[0, :, 0]
    np.testing.assert_array_equal(feature("innovation_lag2"), [innovation[STEPS - 3], innovation[118], np.nan])


def test_static_covariates_are_the_series_own():
    history = replace(WHOLE, static=np.asarray([[1.0, 2.0], [3.0, 4.0]]), static_names=("a", "b"))
    assert feature("b", series=1, others=(), history=history).tolist() == [4, 4, 4]


def test_rows_of_history_alone_are_the_same():
    alone = signals(WHOLE, None, Y, RECIPE, AHEAD)
    made = Source.of(WHOLE, None, alone, RECIPE, 2, False).rows(1, [0], ORIGIN[1:], STEP[1:])
    both = source().rows(1, [0], ORIGIN[1:], STEP[1:])
    assert made[1] == both[1]
    np.testing.assert_array_equal(made[0], both[0])
