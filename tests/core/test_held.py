"""Columns known no sooner than their timestamps: what each cutoff and each window is told of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from daycast.core import anchored, frame, held, lows, transform
from daycast.core.frame import Table
from daycast.core.layout import REGIME
from daycast.core.leakage import SCRAMBLES, scrambled
from daycast.core.signals import Recipe, signals
from daycast.core.split import origins
from daycast.core.tabular import Source
from daycast.core.transform import Scale
from daycast.core.windows import windows, windows_of
from daycast.errors import ConfigError, ModelError
from tests.core.builders import daily_spec, long_frame

STEPS, AHEAD, START, END = 120, 20, 60, 90  # rows of the panel and beyond; the regime's first row, and the one after it
LEVELS = ("none", "strike")
RECIPE = Recipe(("day_of_week",), 3, "median", None, None, 1, 56, (3,), (), None)


def made(start=START, end=END, levels=LEVELS) -> Table:
    """Noise, and a regime that holds from row ``start`` to the one before ``end``."""
    values = np.random.default_rng(0).normal(size=(2, STEPS))
    rows = long_frame({"a": values[0], "b": values[1]}, ahead=AHEAD)
    at = (rows["ds"] - rows["ds"].min()).dt.days
    rows[REGIME] = np.where((at >= start) & (at < end), "strike", "none")
    known = {**daily_spec().known, REGIME: levels}
    return frame.table(rows, daily_spec(known=known, held=(REGIME,)))


TABLE = made()
PANEL = TABLE.panel
(IS,) = [i for i, name in enumerate(PANEL.known_names) if name == f"{REGIME}=strike"]


def test_a_row_tells_the_value_of_the_row_before():
    told = np.flatnonzero(np.concatenate([PANEL.known, TABLE.beyond.known])[:, IS])
    assert_array_equal(told, np.arange(START + 1, END + 1))
    assert made(start=0).panel.known[0, IS] == 1  # the first row has none before it, and keeps its own


@pytest.mark.parametrize("cutoff", [START - 2, START - 1, START, END - 2, END - 1, END, STEPS - 1])
def test_the_future_says_that_the_cutoffs_own_value_goes_on(cutoff):
    future = TABLE.future(PANEL.ds[cutoff], 14)
    assert_array_equal(future.known[:, IS], np.full(14, float(START <= cutoff < END)))
    assert_array_equal(future.known[:, IS - 1], 1 - future.known[:, IS])
    others = [i for i in range(len(PANEL.known_names)) if i not in held.features(PANEL)]
    whole = np.concatenate([PANEL.known, TABLE.beyond.known])
    assert_array_equal(future.known[:, others], whole[cutoff + 1 : cutoff + 15, others])
    with pytest.raises(ValueError, match="read-only"):
        future.known[0] = 0


def test_an_iterated_forecast_carries_the_cutoffs_value_on():
    (origin,) = origins(TABLE, PANEL.ds[[START]], 10)
    longer = origin.history.extended(np.zeros((2, 4)), origin.future)
    assert_array_equal(longer.known[-4:, IS], np.ones(4))
    assert_array_equal(origin.future.tail(4).head(4).known[:, IS], np.ones(4))


@pytest.mark.parametrize("layout", ["joint", "each"])
def test_a_windows_future_is_what_its_cutoff_was_told(layout):
    lookback, horizon = 5, 7
    found = windows(PANEL, PANEL.y, lookback, horizon, layout)
    batch = found.batch(np.arange(len(found)))
    seen_change = 0
    for (_, start), past, future in zip(found.starts, batch.past, batch.future, strict=True):
        (origin,) = origins(TABLE, PANEL.ds[[start + lookback - 1]], horizon)
        assert_array_equal(future, origin.future.known.astype(np.float32))
        assert_array_equal(past[:, found.inputs.shape[2] :], origin.history.known[-lookback:])
        seen_change += not np.array_equal(future, PANEL.known[start + lookback :][:horizon])
    assert seen_change >= 2 * (horizon - 1)  # at either end of the regime


def test_and_of_deviations_from_a_profile():
    lookback, horizon = 5, 7
    alone = signals(PANEL, None, PANEL.y, RECIPE, horizon)
    for columns in (slice(None), np.asarray([0, IS])):
        view = anchored.View(1.0, 6.0, "joint", columns)
        arrays = view.arrays(PANEL, alone, PANEL.y)
        assert arrays.held == ((1,) if isinstance(columns, np.ndarray) else (IS - 1, IS))
        found = windows_of(arrays, lookback, horizon)
        batch = found.batch(np.arange(len(found)))
        for (_, start), future in zip(found.starts, batch.future, strict=True):
            told = TABLE.future(PANEL.ds[start + lookback - 1], horizon).known[:, columns]
            assert_array_equal(future[:, -told.shape[1] :], told.astype(np.float32))


def test_rows_of_a_table_are_told_what_their_origin_knew():
    horizon = 7
    z = transform.forward(transform.fit((Scale("none"),), PANEL.y), PANEL.y)
    future = TABLE.future(PANEL.cutoff, horizon)
    source = Source.of(PANEL, future, signals(PANEL, future, z, RECIPE, horizon), RECIPE, 2, False)
    origin, step = (a.ravel() for a in np.meshgrid(np.arange(50, STEPS), np.arange(1, horizon + 1), indexing="ij"))
    x, names = source.rows(0, [1], origin, step)
    for name in (f"{REGIME}=none", f"{REGIME}=strike", "day_of_week=Tue"):
        column = PANEL.known_names.index(name)
        told = [TABLE.future(PANEL.ds[o], horizon).known[s - 1, column] for o, s in zip(origin, step, strict=True)]
        assert_array_equal(x[:, names.index(name)], told)


def test_a_fit_learns_from_held_features_where_they_are_asked_for_and_changed_in_its_history():
    days = tuple(n for n in PANEL.known_names if n.startswith("day_of_week"))
    both = ("day_of_week", REGIME)
    assert held.chosen(PANEL, None) == days
    assert held.chosen(PANEL, both) == PANEL.known_names
    assert held.chosen(PANEL, [REGIME]) == (f"{REGIME}=none", f"{REGIME}=strike")
    assert held.chosen(PANEL.until(PANEL.ds[START]), both) == days  # its first day is not told before the next
    assert held.chosen(PANEL.since(PANEL.ds[START + 1]).until(PANEL.ds[END - 1]), both) == days
    other = made(levels=(*LEVELS, "later")).panel
    assert held.chosen(other, both) == PANEL.known_names
    with pytest.raises(ConfigError, match=r"found: +\['line'\]"):
        held.chosen(PANEL, ["day_of_week", "line"])


def test_a_panel_and_a_future_can_be_cut_to_some_features():
    kept = held.only(PANEL, ("day_of_week=Mon", f"{REGIME}=strike"))
    assert kept.known_names == ("day_of_week=Mon", f"{REGIME}=strike")
    assert_array_equal(kept.known, PANEL.known[:, [0, IS]])
    assert held.features(kept).tolist() == [1]
    assert held.only(PANEL, PANEL.known_names) is PANEL
    assert held.only(TABLE.beyond, ("day_of_week=Mon",)).known.shape == (AHEAD, 1)


def test_classes_of_days_are_not_told_by_what_is_not_known_ahead():
    by = ("day_of_week", REGIME)
    with pytest.raises(ModelError, match=r"known ahead, of \['day_of_week'\]\nfound: +\['regime'\]"):
        signals(PANEL, None, PANEL.y, Recipe(by, 3, "median", None, None, 1, 56, (3,), (), None), 7)
    with pytest.raises(ModelError, match="known no sooner than their days"):
        lows.known(PANEL, None, lows.Rule(0.2, by, 3, "median"))


@pytest.mark.parametrize("how", SCRAMBLES)
@pytest.mark.parametrize("cutoff", [START - 1, START, END - 1, STEPS - 1])
def test_a_scramble_takes_all_that_a_cutoff_was_not_told(how, cutoff):
    day = PANEL.ds[cutoff]
    other = scrambled(TABLE, day, how, np.random.default_rng(0))
    assert_array_equal(other.future(day, 14).known, TABLE.future(day, 14).known)
    assert_array_equal(other.panel.until(day).known, PANEL.until(day).known)
    if cutoff < STEPS - 1 and (how, cutoff) != ("permuted", END - 1):  # then all that comes is alike
        assert not np.array_equal(other.panel.known, PANEL.known)
    outside = [i for i in range(len(PANEL.known_names)) if i not in held.features(PANEL)]
    assert_array_equal(other.panel.known[:, outside], PANEL.known[:, outside])
