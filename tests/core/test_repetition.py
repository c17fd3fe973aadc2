"""Figures before and again."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from daycast.core import repetition

Values = dict[str, dict[str, float]]
BEFORE: Values = {"gru": {"mae": 100.0, "bias": 0.001, "coverage_80": 0.8}, "naive": {"mae": 200.0}}


def changed(**values: float) -> Values:
    """The figures of before, with others of the network."""
    return {**BEFORE, "gru": {**BEFORE["gru"], **values}}


def compared(before: Values, again: Values, tolerance: float) -> pd.DataFrame:
    """Of figures that have one value each."""
    a, b = (
        {model: {(metric, 0): (value,) for metric, value in values.items()} for model, values in figures.items()}
        for figures in (before, again)
    )
    return repetition.compared(a, b, tolerance)


def test_equal_figures_agree_to_the_last_bit() -> None:
    found = compared(BEFORE, changed(), 0.0)
    assert found[["model", "metric"]].to_numpy().tolist() == [
        ["gru", "bias"],
        ["gru", "coverage_80"],
        ["gru", "mae"],
        ["naive", "mae"],
    ]
    assert found["agrees"].all()
    assert (found["difference"] == 0).all()


def test_the_last_bit_of_one_figure_is_a_difference() -> None:
    found = compared(BEFORE, changed(mae=float(np.nextafter(100.0, 200.0))), 0.0)
    assert found.loc[~found["agrees"], ["model", "metric"]].to_numpy().tolist() == [["gru", "mae"]]
    assert 0 < found["difference"].max() < 1e-10


@pytest.mark.parametrize(("value", "agrees"), [(101.9, True), (102.1, False), (98.1, True), (97.9, False)])
def test_a_tolerance_is_a_fraction_of_the_recorded_value(value: float, agrees: bool) -> None:
    found = compared(BEFORE, changed(mae=value), 0.02)
    assert found.set_index(["model", "metric"]).loc[("gru", "mae"), "agrees"] == agrees


def test_a_bias_next_to_nothing_is_measured_by_the_mae() -> None:
    assert compared(BEFORE, changed(bias=1.0), 0.02)["agrees"].all()
    assert not compared(BEFORE, changed(bias=3.0), 0.02)["agrees"].all()
    series = {"gru": {"rail.mae": 100.0, "rail.bias": 0.0}}
    assert compared(series, {"gru": {"rail.mae": 100.0, "rail.bias": 1.0}}, 0.02)["agrees"].all()


def test_what_is_missing_on_one_side_agrees_with_nothing() -> None:
    less = {"gru": {"mae": 100.0, "bias": 0.001}}
    for one, other in ((BEFORE, less), (less, BEFORE)):
        found = compared(one, other, 1e9)
        assert found.loc[~found["agrees"], "metric"].tolist() == ["coverage_80", "mae"]


def test_no_value_twice_is_the_same_and_no_value_once_is_not() -> None:
    none = {"gru": {"mape": math.nan}}
    assert compared(none, none, 0.0)["agrees"].all()
    assert not compared(none, {"gru": {"mape": 0.1}}, 1e9)["agrees"].any()
    assert not compared({"gru": {"mape": 0.1}}, none, 1e9)["agrees"].any()


def test_a_recorded_zero_agrees_with_zero_alone() -> None:
    zero = {"gru": {"mae": 0.0}}
    assert compared(zero, {"gru": {"mae": 0.0}}, 0.02)["agrees"].all()
    assert not compared(zero, {"gru": {"mae": 1e-9}}, 0.02)["agrees"].any()


def test_every_step_is_a_figure_of_its_own() -> None:
    before = {"gru": {("mae_by_step", step): (float(step),) for step in (1, 2, 10)}}
    again = {"gru": {**before["gru"], ("mae_by_step", 2): (6.0,)}}
    found = repetition.compared(before, again, 0.0)
    assert found["step"].tolist() == [1, 2, 10]
    assert found.loc[~found["agrees"], ["step", "recorded", "again", "relative"]].to_numpy().tolist() == [[2, 2, 6, 2]]


def test_a_step_with_two_values_does_not_agree_with_one_of_them() -> None:
    once, twice = {"gru": {("mae", 0): (1.0,)}}, {"gru": {("mae", 0): (1.0, 3.0)}}
    assert repetition.compared(twice, twice, 0.0)["agrees"].all()
    for one, other in ((once, twice), (twice, once)):
        assert repetition.compared(one, other, 1e9)["agrees"].tolist() == [True, False]
