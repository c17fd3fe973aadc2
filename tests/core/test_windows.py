import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from daycast.core import transform
from daycast.core.frame import FrameSpec, Panel
from daycast.core.transform import Difference, Scale
from daycast.core.windows import as_series, windows
from daycast.errors import HistoryError

LAYOUTS = ("joint", "each")


def panel(n=3, steps=120, features=4, past=2, static=5, seed=0):
    rng = np.random.default_rng(seed)
    return Panel(
        FrameSpec("D", 7),
        tuple(f"s{i}" for i in range(n)),
        pd.date_range("2020-01-01", periods=steps),
        rng.normal(size=(n, steps)),
        rng.normal(size=(steps, features)),
        rng.normal(size=(n, steps, past)),
        rng.normal(size=(n, static)),
        tuple(f"k{i}" for i in range(features)),
        tuple(f"p{i}" for i in range(past)),
        tuple(f"c{i}" for i in range(static)),
    )


def slowly(history, z, lookback, horizon, layout):
    """All whole windows as (group, start, past, future, static, target), one at a time from the definition."""
    n, steps = z.shape
    out = []
    for group in range(n if layout == "each" else 1):
        rows = [group] if layout == "each" else list(range(n))
        for start in range(steps - lookback - horizon + 1):
            past = []
            for t in range(start, start + lookback):
                observed = [z[i, t] for i in rows] + [x for i in rows for x in history.past[i, t]]
                past.append([*observed, *history.known[t]])
            ahead = range(start + lookback, start + lookback + horizon)
            future = [list(history.known[t]) for t in ahead]
            target = [[z[i, t] for i in rows] for t in ahead]
            static = list(history.static[group]) if layout == "each" else []
            if np.isfinite(past).all() and np.isfinite(target).all():
                out.append((group, start, past, future, static, target))
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", [{}, {"n": 1, "past": 0}, {"features": 0, "static": 0}, {"steps": 23}])
def test_batches_equal_windows_cut_out_one_at_a_time(layout, sizes):
    history = panel(**sizes)
    z = history.y.copy()
    z[:, :3] = np.nan
    if z.shape[1] > 100:
        z[-1, 60:63] = np.nan
        history.past[0, 90:, -1:] = np.nan
    made = windows(history, z, 12, 5, layout)
    expected = slowly(history, z, 12, 5, layout)
    assert len(made) == len(expected) > 0
    assert [tuple(s) for s in made.starts.tolist()] == [e[:2] for e in expected]
    order = np.random.default_rng(1).permutation(len(made))
    for got, name in zip(made.batch(order), ("past", "future", "static", "target"), strict=True):
        where = {"past": 2, "future": 3, "static": 4, "target": 5}[name]
        wanted = np.array([expected[i][where] for i in order], dtype=np.float32).reshape(got.shape)
        assert got.dtype == np.float32
        assert type(got) is np.ndarray
        assert_array_equal(got, wanted, err_msg=name)


def test_shapes_are_those_of_the_letters():
    history = panel(n=3, steps=100, features=4, past=2, static=5)
    joint = windows(history, history.y, 12, 5, "joint")
    each = windows(history, history.y, 12, 5, "each")
    assert [x.shape for x in joint.batch(np.arange(8))] == [(8, 12, 3 + 6 + 4), (8, 5, 4), (8, 0), (8, 5, 3)]
    assert [x.shape for x in each.batch(np.arange(8))] == [(8, 12, 1 + 2 + 4), (8, 5, 4), (8, 5), (8, 5, 1)]
    assert (joint.z.shape, each.z.shape) == ((1, 100, 3), (3, 100, 1))
    assert (len(joint), len(each)) == (84, 3 * 84)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_window_copies_the_history(layout):
    history = panel(n=8, steps=20_000, features=3, past=1)
    tracemalloc.start()
    try:
        made = windows(history, history.y, 365, 28, layout)
        held, peak = tracemalloc.get_traced_memory()
        arrays = made.inputs.nbytes + made.known.nbytes + made.starts.nbytes
        assert held < 1.2 * arrays
        assert peak < 20e6  # 365 copies of the inputs would take 467 MB
        tracemalloc.reset_peak()
        batch = made.batch(np.arange(0, len(made), len(made) // 16))
        assert tracemalloc.get_traced_memory()[1] - held < 4 * sum(x.nbytes for x in batch)
    finally:
        tracemalloc.stop()
    assert made.inputs.flags.c_contiguous
    assert made.inputs.dtype == made.known.dtype == made.static.dtype == np.float32
    assert np.shares_memory(made.z, made.inputs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_and_validation_share_no_target_and_the_split_is_by_target_time(layout):
    history = panel(steps=100)
    made = windows(history, history.y, 12, 5, layout)
    training, validation = made.split(20)
    first = {name: part.starts[:, 1] + 12 for name, part in (("t", training), ("v", validation))}
    assert (first["t"] + 5).max() == 80
    assert first["v"].min() == 80
    assert (first["v"] + 5).max() == 100
    groups = len(made.inputs)
    assert len(made) - len(training) - len(validation) == 4 * groups  # those with targets on either side
    assert np.shares_memory(training.inputs, made.inputs)
    assert np.shares_memory(validation.inputs, made.inputs)


@pytest.mark.parametrize("steps", [4, 85, 100])
def test_a_split_that_leaves_one_side_empty_is_refused(steps):
    history = panel(steps=100)
    with pytest.raises(HistoryError, match="both sides"):
        windows(history, history.y, 12, 5, "joint").split(steps)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_history_too_short_or_too_full_of_holes_is_refused(layout):
    short = panel(steps=16)
    with pytest.raises(HistoryError, match="17 timestamps in a row"):
        windows(short, short.y, 12, 5, layout)
    holey = panel(steps=200)
    z = holey.y.copy()
    z[:, ::16] = np.nan
    with pytest.raises(HistoryError, match="without a missing value"):
        windows(holey, z, 12, 5, layout)


def test_a_known_feature_that_is_missing_ahead_rules_the_window_out():
    history = panel(steps=40)
    history.known[30] = np.nan
    starts = windows(history, history.y, 12, 5, "joint").starts[:, 1]
    assert starts.max() == 30 - 12 - 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_past_covariates_go_through_their_own_transform(layout):
    history = panel(n=2, past=2)
    history.past[:] = history.past * 1e6 + 5e6
    scaled = transform.fit([Scale("standard")], as_series(history.past))
    made = windows(history, history.y, 12, 5, layout, scaled)
    observed = made.inputs[:, :, made.targets :]
    expected = (history.past - history.past.mean(axis=1, keepdims=True)) / history.past.std(axis=1, keepdims=True)
    if layout == "joint":
        expected = np.moveaxis(expected, 0, 1).reshape(1, 120, 4)
    np.testing.assert_allclose(observed, expected, rtol=1e-4, atol=1e-5)


def test_windows_of_a_differenced_series_start_after_its_lags():
    history = panel(steps=100)
    fitted = transform.fit([Difference((7, 1)), Scale("standard")], history.y)
    made = windows(history, transform.forward(fitted, history.y), 12, 5, "joint")
    assert made.starts[0].tolist() == [0, 8]
