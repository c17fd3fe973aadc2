"""Transforms laid out for series that came or went after the fit."""

import numpy as np

from daycast.core import transform
from daycast.core.newcomers import arranged
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
