"""Transforms laid out for series that came or went after the fit."""

import numpy as np
import pytest

from daycast.core import transform
from daycast.core.newcomers import arranged, newcomers
from daycast.core.transform import Difference, Scale

STEPS = (Scale("standard"), Difference((7,)), Scale("minmax"))
Y = np.random.default_rng(5).normal(size=(4, 60)) * np.array([1, 10, 100, 1000])[:, None]
IDS = ("a", "b", "c", "d")


def test_each_series_has_the_transform_it_would_have_among_any_others():
    fitted, asked = transform.fit(STEPS, Y[:3]), []

    def fit(new):
        asked.append(new)
        return transform.fit(STEPS, Y[[3]])

    assert arranged(fitted, IDS[:3], ("c", "d", "a"), fit) == transform.fit(STEPS, Y[[2, 3, 0]])
    assert asked == [[1]]


def test_without_a_new_series_nothing_is_fitted():
    def fit(new):
        raise AssertionError(new)

    fitted = transform.fit(STEPS, Y)
    assert arranged(fitted, IDS, IDS, fit) == fitted
    assert arranged(fitted, IDS, ("d",), fit) == transform.fit(STEPS, Y[[3]])


def test_a_series_without_a_value_in_the_fit_is_fitted_when_it_has_some():
    empty = Y.copy()
    empty[1] = np.nan
    fitted, asked = transform.fit(STEPS, empty), []

    def fit(new):
        asked.append(new)
        return transform.fit(STEPS, Y[new])

    assert fitted.seen == (True, False, True, True)
    assert arranged(fitted, IDS, IDS, fit) == transform.fit(STEPS, Y)
    assert arranged(transform.Fitted.from_json(fitted.to_json()), IDS, ("c", "b"), fit) == transform.fit(
        STEPS, Y[[2, 1]]
    )
    assert asked == [[1], [1]]


@pytest.mark.parametrize(("values", "seen"), [(0, False), (8, False), (9, True)])
def test_a_series_is_seen_if_two_values_are_left_after_the_differences(values, seen):
    few = Y.copy()
    few[1, values:] = np.nan
    assert transform.fit((Difference((7,)), Scale("standard")), few).seen == (True, seen, True, True)


def test_newcomers_are_those_that_the_fit_has_not_seen():
    empty = Y.copy()
    empty[1] = np.nan
    fitted = transform.fit(STEPS, empty[:3])
    assert newcomers(fitted, IDS[:3], IDS) == [1, 3]
    assert newcomers(fitted, IDS[:3], ("d", "a", "b")) == [0, 2]
    assert newcomers(fitted, IDS[:3], ("a", "c")) == []


def test_where_nothing_is_learned_of_each_series_none_is_a_newcomer():
    steps = (Scale("none", log1p=True), Difference((7,)))
    assert newcomers(transform.fit(steps, np.abs(Y[:1])), IDS[:1], IDS) == []
