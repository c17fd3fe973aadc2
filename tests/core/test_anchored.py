"""Windows and contexts of deviations, against one window at a time from the definitions."""

from dataclasses import replace

import numpy as np
import pytest

from daycast.core import anchored
from daycast.core.anchored import View
from daycast.core.signals import signals
from daycast.core.windows import windows_of
from daycast.errors import HistoryError
from tests.core.eventful import AHEAD, KNOWN, RECIPE, STEPS, WHOLE, Y, future, origin, panel

LAYOUTS = ("joint", "each")
LOOKBACK, HORIZON, CLIP = 10, 5, 2.0
ALONE = signals(WHOLE, None, Y, RECIPE, AHEAD)
SPREAD = anchored.spread([ALONE])
COLUMNS = np.asarray([0, 3])


def view(layout):
    return View(SPREAD, CLIP, layout, COLUMNS)


def held(values):
    return np.clip(np.nan_to_num(values / SPREAD), -CLIP, CLIP)


def told(series, day):
    """Signals ahead of one day, as a network sees them."""
    values = ALONE.ahead[series, day]
    return [*held(values)[:-2], *values[-2:]]


def newest(series, row, day):
    """What the newest of a day's class tell, as known at a row, as a network sees it."""
    return held(ALONE.newer(np.asarray([row]), np.asarray([day]))[series, 0]) if row >= 0 else [0.0]


def rows(layout, series, days, cutoff=None):
    """``(days, features)`` of one group, a day and a channel at a time; those after a cutoff, or observed ones."""
    members = [0, 1] if layout == "joint" else [series]
    out, observed = [], cutoff is None
    for day in days:
        seen = np.asarray([held(ALONE.observed[n, day]) for n in members]).T.ravel() if observed else []
        ahead = np.asarray([told(n, day) for n in members]).T.ravel()
        newer = np.asarray([newest(n, day - 1 if observed else cutoff, day) for n in members]).T.ravel()
        out.append([*seen, *ahead, *newer, *KNOWN[day, COLUMNS]])
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_equal_windows_cut_out_one_at_a_time(layout):
    windows = windows_of(view(layout).arrays(WHOLE, ALONE, Y), LOOKBACK, HORIZON)
    found = {}
    for k in range(len(windows)):
        group, start = windows.starts[k]
        found[int(group), int(start)] = [part[0] for part in windows.batch(np.asarray([k]))]
    expected = 0
    for group in range(1 if layout == "joint" else 2):
        members = [0, 1] if layout == "joint" else [group]
        for start in range(STEPS - LOOKBACK - HORIZON + 1):
            cutoff = start + LOOKBACK - 1
            days = range(cutoff + 1, cutoff + 1 + HORIZON)
            base = ALONE.base(np.full(HORIZON, cutoff), np.asarray(days))
            target = ((Y[:, days] - ALONE.ahead[:, days, 0] - base) / SPREAD)[members].T
            if not np.isfinite(target).all():
                assert (group, start) not in found
                continue
            expected += 1
            past, ahead, _, goal = found[group, start]
            np.testing.assert_allclose(past, rows(layout, group, range(start, cutoff + 1)), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(ahead, rows(layout, group, days, cutoff), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(goal, target, rtol=1e-4, atol=1e-4)
    assert len(found) == expected > 50


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_context_is_the_window_that_training_would_make(layout):
    windows = windows_of(view(layout).arrays(WHOLE, ALONE, Y), LOOKBACK, HORIZON)
    cutoffs = [120, 150]
    origins = [origin(c + 1) for c in cutoffs]
    whole = signals(WHOLE, future(), Y, RECIPE, AHEAD)
    seen = view(layout).context(origins, whole, LOOKBACK)
    groups = 1 if layout == "joint" else 2
    for i, cutoff in enumerate(cutoffs):
        for group in range(groups):
            k = np.flatnonzero((windows.starts == (group, cutoff - LOOKBACK + 1)).all(axis=1))
            past, ahead, _, target = windows.batch(k)
            np.testing.assert_array_equal(seen.past[i * groups + group], past[0])
            np.testing.assert_array_equal(seen.future[i * groups + group, :HORIZON], ahead[0])
            level = seen.level[i, :, :HORIZON] + target[0].T * SPREAD if layout == "joint" else None
            if level is not None:  # what the target and the level make together is the truth
                np.testing.assert_allclose(level, Y[:, cutoff + 1 : cutoff + 1 + HORIZON], atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_the_newest_tell_can_be_left_out(layout):
    def batch(recipe):
        of = signals(WHOLE, None, Y, recipe, AHEAD)
        return windows_of(view(layout).arrays(WHOLE, of, Y), LOOKBACK, HORIZON).batch(np.arange(9))

    told, plain = batch(RECIPE), batch(replace(RECIPE, newest=None))
    known, targets = len(COLUMNS), told.target.shape[2]
    for with_them, without in zip(told[:2], plain[:2], strict=True):
        at = with_them.shape[2] - known - targets
        np.testing.assert_array_equal(np.delete(with_them, range(at, at + targets), axis=2), without)
    np.testing.assert_array_equal(told.target, plain.target)
    seen = view(layout).context(
        [origin(150)], signals(WHOLE, future(), Y, replace(RECIPE, newest=None), AHEAD), LOOKBACK
    )
    assert seen.past.shape[2:] == plain.past.shape[2:]
    assert seen.future.shape[2:] == plain.future.shape[2:]


def test_a_series_without_a_value_yet_is_not_seen():
    y = Y.copy()
    y[1] = np.nan
    whole = signals(panel(y=y), future(), y, RECIPE, AHEAD)
    seen = view("joint").context([origin(STEPS)], whole, LOOKBACK)
    assert seen.seen.tolist() == [[True, False]]
    assert np.isfinite(seen.past).all()


def test_the_spread_is_that_of_all_deviations():
    deviation = ALONE.observed[:, :, RECIPE.observed.index("deviation")]
    seen = deviation[np.isfinite(deviation)]
    assert anchored.spread([ALONE]) == pytest.approx(np.sqrt(np.mean((seen - seen.mean()) ** 2)))


def test_closed_days_count_in_no_spread():
    y = Y.copy()
    y[:, 150:160] = -99.0
    of = signals(panel(y=y), None, y, replace(RECIPE, closed=-99.0), AHEAD)
    deviation = of.observed[:, :, RECIPE.observed.index("deviation")]
    assert np.nanmax(np.abs(deviation[:, 150:160])) > 90
    assert anchored.spread([of]) == pytest.approx(np.nanstd(np.delete(deviation, range(150, 160), axis=1)))


def test_without_a_deviation_the_spread_is_one():
    y = np.full_like(Y, np.nan)
    assert anchored.spread([signals(panel(y=y), None, y, RECIPE, AHEAD)]) == 1.0
    flat = np.ones_like(Y)
    assert anchored.spread([signals(panel(y=flat), None, flat, RECIPE, AHEAD)]) == 1.0


def test_a_history_without_a_whole_target_has_no_windows():
    y = Y[:, :20].copy()
    y[0, ::3] = np.nan
    short = panel(20, np.column_stack([y, Y[:, 20:]]))
    of = signals(short, None, y, RECIPE, AHEAD)
    with pytest.raises(HistoryError):
        windows_of(view("joint").arrays(short, of, y), LOOKBACK, HORIZON)
