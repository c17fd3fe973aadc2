"""Targets at every step, against windows cut out one at a time."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from daycast.core import stepwise
from daycast.core.anchors import Anchors
from daycast.core.windows import Arrays, windows_of

STEPS, LOOKBACK, HORIZON = 40, 6, 3


def made(groups, targets, anchored, missing=()):
    rng = np.random.default_rng(groups)
    single = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    inputs = single(groups, STEPS, targets + 2)
    anchors = None
    if anchored:
        classes = np.arange(STEPS, dtype=np.int32) % 3
        anchors = Anchors(
            single(groups, STEPS, 2), single(groups, STEPS, targets), single(groups, STEPS, 3, targets), classes
        )
        for step in missing:
            anchors.goal[:, step] = np.nan
    static = np.zeros((groups, 0), dtype=np.float32)
    return windows_of(Arrays(inputs, single(STEPS, 4), static, targets, anchors), LOOKBACK, HORIZON)


@pytest.mark.parametrize("anchored", [False, True], ids=["plain", "anchored"])
@pytest.mark.parametrize(("groups", "targets"), [(1, 2), (3, 1)], ids=["joint", "each"])
def test_every_step_has_the_targets_that_come_after_it(groups, targets, anchored):
    windows = made(groups, targets, anchored)
    index = np.random.default_rng(1).permutation(len(windows))[:20]
    found = stepwise.targets(windows, index)
    assert found.shape == (20, LOOKBACK, HORIZON, targets)
    assert found.dtype == np.float32
    for b, number in enumerate(index):
        group, start = windows.starts[number]
        for step in range(LOOKBACK):
            for h in range(HORIZON):
                at, day = start + step, start + step + 1 + h
                if anchored:
                    of = windows.anchors
                    expected = of.goal[group, day] - of.base[group, at, of.classes[day]]
                else:
                    expected = windows.inputs[group, day, :targets]
                assert_array_equal(found[b, step, h], expected)


@pytest.mark.parametrize("anchored", [False, True], ids=["plain", "anchored"])
def test_the_last_step_has_the_windows_own_targets_and_no_step_any_after_them(anchored):
    windows = made(2, 1, anchored)
    index = np.arange(len(windows))
    assert_array_equal(stepwise.targets(windows, index)[:, -1], windows.batch(index).target)
    boundary = windows.split(10)[0]
    values = windows.anchors.goal if anchored else windows.inputs
    before = stepwise.targets(boundary, np.arange(len(boundary)))
    values[:, STEPS - 10 :] = 1e9
    assert_array_equal(stepwise.targets(boundary, np.arange(len(boundary))), before)


def test_a_missing_value_among_earlier_targets_is_told_as_missing():
    windows = made(1, 1, anchored=True, missing=(12,))
    found = stepwise.targets(windows, np.arange(len(windows)))
    days = windows.starts[:, 1, None, None] + np.arange(LOOKBACK)[:, None] + 1 + np.arange(HORIZON)
    assert_array_equal(np.isnan(found[..., 0]), days == 12)
    assert np.isfinite(found[:, -1]).all()
