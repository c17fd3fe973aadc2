import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from daycast.core import transform
from daycast.core.context import context
from daycast.core.fill import seasonal_fill
from daycast.core.forecast import Origin
from daycast.core.frame import FrameSpec, Future, Panel
from daycast.core.transform import Difference, Scale
from daycast.core.windows import as_series, windows
from daycast.errors import HistoryError

LAYOUTS = ("joint", "each")
L, H = 12, 5


def panel(n=3, steps=120, past=2, seed=0):
    rng = np.random.default_rng(seed)
    return Panel(
        FrameSpec("D", 7),
        tuple(f"s{i}" for i in range(n)),
        pd.date_range("1980-01-01", periods=steps),
        rng.normal(size=(n, steps)).cumsum(axis=1),
        rng.normal(size=(steps, 4)),
        rng.normal(size=(n, steps, past)),
        rng.normal(size=(n, 5)),
        tuple("abcd"),
        tuple(f"p{i}" for i in range(past)),
        tuple("vwxyz"),
    )


def origin(history, position):
    """The origin whose last seen row is ``position``."""
    rows = slice(position + 1, position + 1 + H)
    return Origin(
        history.until(history.ds[position]), Future(history.ds[rows], history.known[rows], history.known_names)
    )


@pytest.mark.parametrize("steps", [[Scale("standard")], [Difference((7, 1)), Scale("robust")]])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_prediction_sees_bit_for_bit_what_training_saw(layout, steps):
    history = panel()
    fitted = transform.fit(steps, history.y)
    past = transform.fit([Scale("standard")], as_series(history.past))
    made = windows(history, transform.forward(fitted, history.y), L, H, layout, past)
    positions = [40, 77, 100]
    got = context([origin(history, p) for p in positions], fitted, L, layout, past)
    groups = len(made.inputs)
    where = [
        int(np.flatnonzero((made.starts == [g, p - L + 1]).all(axis=1))[0]) for p in positions for g in range(groups)
    ]
    batch = made.batch(np.array(where))
    for name in ("past", "future", "static"):
        assert getattr(got, name).dtype == np.float32
        assert_array_equal(getattr(got, name), getattr(batch, name), err_msg=name)


def test_the_tail_undoes_the_transform_of_what_came():
    history = panel()
    fitted = transform.fit([Difference((7, 1)), Scale("robust")], history.y)
    z, positions = transform.forward(fitted, history.y), [30, 60, 100]
    got = context([origin(history, p) for p in positions], fitted, L, "joint")
    assert got.tail.dtype == np.float64
    assert got.tail.shape == (3, 3, 8)
    back = transform.inverse(fitted, np.stack([z[:, p + 1 : p + 1 + H] for p in positions]), got.tail)
    assert_allclose(back, np.stack([history.y[:, p + 1 : p + 1 + H] for p in positions]), atol=1e-12)


def test_a_chain_without_lags_has_an_empty_tail():
    history = panel()
    fitted = transform.fit([Scale("standard")], history.y)
    assert context([origin(history, 50)], fitted, L, "each").tail.shape == (1, 3, 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gaps_are_filled_before_the_transform_and_nothing_is_left_missing(layout):
    history = panel()
    history.y[0, 85:101] = np.nan  # a hole that reaches the cutoff
    history.y[1, :95] = np.nan  # a late start
    history.y[2] = np.nan  # never observed
    history.past[0, 70:, 0] = np.nan
    fitted = transform.fit([Difference((7,)), Scale("standard")], history.y)
    got = context([origin(history, 100)], fitted, L, layout)
    assert np.isfinite(got.past).all()
    assert got.seen.tolist() == [[True, True, False]]
    assert np.isfinite(got.tail[0, 0]).all()
    assert np.isnan(got.tail[0, 2]).all()
    filled = seasonal_fill(history.y[:, :101], 7)
    z = np.nan_to_num(transform.forward(fitted, filled)[:, -L:])
    y_channels = got.past[0, :, :3].T if layout == "joint" else got.past[:, :, 0]
    assert_array_equal(y_channels, z.astype(np.float32))
    assert_array_equal(got.tail[0], filled[:, -7:])
    covariate = got.past[0, :, 3 if layout == "joint" else 1]
    assert_array_equal(covariate, seasonal_fill(history.past[:1, :101, 0], 7)[0, -L:].astype(np.float32))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_comes_after_an_origin_changes_nothing_in_it(layout):
    history = panel()
    history.y[0, 30:36] = np.nan
    fitted = transform.fit([Difference((7,)), Scale("standard")], history.y[:, :61])
    other = replace(history, y=history.y.copy(), past=history.past.copy())
    other.y[:, 61:] = 1e9
    other.past[:, 61:] = -1e9
    one, two = (context([origin(h, 35), origin(h, 60)], fitted, L, layout) for h in (history, other))
    for a, b in zip(one, two, strict=True):
        assert_array_equal(a, b)


def test_a_history_shorter_than_the_lookback_and_the_lags_is_refused():
    history = panel()
    fitted = transform.fit([Difference((7, 1))], history.y)
    assert context([origin(history, 19)], fitted, L, "joint").past.shape == (1, 12, 3 + 6 + 4)
    with pytest.raises(HistoryError, match="20 timestamps"):
        context([origin(history, 40), origin(history, 18)], fitted, L, "joint")


def test_a_long_history_costs_no_more_than_a_short_one():
    history = panel(n=4, steps=20_000, past=1)
    history.y[1, -15:-10] = np.nan
    fitted = transform.fit([Difference((7,)), Scale("standard")], history.y)
    long, short = origin(history, 19_900), origin(history.since(history.ds[19_700]), 200)
    peaks = []
    for one in (long, short):
        tracemalloc.start()
        got = context([one], fitted, L, "each")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert np.isfinite(got.past).all()
    assert peaks[0] < 1.5 * peaks[1]


def test_three_hundred_origins_over_seven_thousand_days_take_less_than_a_few_seconds():
    history = panel(n=10, steps=7000, past=1)
    history.y[0, 6500:6530] = np.nan
    fitted = transform.fit([Difference((7, 1)), Scale("standard")], history.y)
    begun = time.process_time()
    got = context([origin(history, p) for p in range(6600, 6900)], fitted, 56, "each")
    assert got.past.shape == (3000, 56, 6)
    assert time.process_time() - begun < 3.0
