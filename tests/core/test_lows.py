"""Low days against the sentences that define them, told day by day with pandas."""

import numpy as np
import pandas as pd
import pytest

from daycast.core import frame, lows, windows
from daycast.core.lows import Rule
from daycast.errors import ModelError
from tests.core import eventful

RULE = Rule(0.2, ("day_of_week",), 3, "median")
RNG = np.random.default_rng(2)
Y = 100 + 20 * RNG.normal(size=(2, eventful.STEPS)) + 10 * eventful.DS.dayofweek.to_numpy()[: eventful.STEPS]
Y[0, 90:97] = np.nan
Y[1, :40] = np.nan
PANEL = eventful.panel(y=Y)
EVENT = ~np.isin(eventful.LABELS, eventful.LEVELS[:1])


def slow(series, cutoff, day, rule=RULE):
    """Whether a day is low, from what a reader of the definition would look up by hand."""
    seen = pd.DataFrame({"ds": eventful.DS[: cutoff + 1], "y": Y[series, : cutoff + 1]})
    normal = seen[~EVENT[: cutoff + 1]]
    alike = normal[normal["ds"].dt.dayofweek == eventful.DS[day].dayofweek]["y"]
    levels = alike.rolling(rule.window, min_periods=(rule.window + 1) // 2).median().dropna()
    if levels.empty:
        levels = normal["y"].rolling(rule.window, min_periods=1).median().dropna()
    if levels.empty or np.isnan(Y[series, day]):
        return np.nan
    return float(Y[series, day] < (1 - rule.drop) * levels.iloc[-1])


def test_labels_are_those_of_the_sentences():
    of = lows.known(PANEL, None, RULE)
    cutoffs = np.arange(5, eventful.STEPS, 6)
    found = of.ahead(cutoffs, 4)
    expected = np.full(found.shape, np.nan)
    for o, cutoff in enumerate(cutoffs):
        for n in range(2):
            for h in range(1, 5):
                if cutoff + h < eventful.STEPS:
                    expected[o, n, h - 1] = slow(n, cutoff, cutoff + h)
    np.testing.assert_array_equal(found, expected)
    assert {0.0, 1.0} <= set(expected.ravel())
    assert np.isnan(expected).any()


def test_a_value_is_low_below_what_is_told_and_not_at_it():
    of = lows.known(PANEL, eventful.future(), RULE)
    rows, days = np.array([150, 150]), np.array([151, 152])
    below = of.below(rows, days)
    assert (of.at(rows, days) == (Y[:, days] < below)).all()
    again = Y.copy()
    again[:, 151:153] = below
    assert not lows.known(eventful.panel(y=again), None, RULE).at(rows, days).any()
    ahead = of.below(np.array([eventful.STEPS - 1]), np.array([eventful.STEPS + 3]))
    assert np.isfinite(ahead).all()


def test_nothing_after_the_cutoff_but_the_day_itself_decides():
    cutoffs = np.array([120, 140])
    of = lows.known(PANEL, None, RULE)
    for cutoff in cutoffs:
        later = Y.copy()
        later[:, cutoff + 1 :] = RNG.permuted(later[:, cutoff + 1 :], axis=1) * 3
        rows, days = np.full(7, cutoff), np.arange(cutoff + 1, cutoff + 8)
        np.testing.assert_array_equal(
            of.below(rows, days), lows.known(eventful.panel(y=later), None, RULE).below(rows, days)
        )
        np.testing.assert_array_equal(
            of.below(rows, days),
            lows.known(PANEL.until(eventful.DS[cutoff]), eventful.future(cutoff + 1), RULE).below(rows, days),
        )


@pytest.mark.parametrize("layout", ["joint", "each"])
def test_windows_are_taught_the_labels_that_are_scored(layout):
    z = np.nan_to_num(Y)
    made = lows.marked(windows.arrays(PANEL, z, layout), PANEL, RULE, layout)
    of = windows.windows_of(made, lookback=9, horizon=3)
    batch = of.batch(np.arange(len(of)))
    assert batch.target.dtype == np.float32
    cutoffs = of.starts[:, 1] + 8
    labels = lows.known(PANEL, None, RULE).ahead(cutoffs, 3)  # (W, N, H)
    assert np.isfinite(batch.target).all()
    for w, group in enumerate(of.starts[:, 0]):
        mine = labels[w].T if layout == "joint" else labels[w, [group]].T
        np.testing.assert_array_equal(batch.target[w], mine)
    assert batch.past.shape[2] == made.inputs.shape[2] + made.known.shape[1]


def test_signals_stay_the_inputs_where_there_are_some():
    z = np.nan_to_num(Y)
    plain = windows.arrays(PANEL, z, "each")
    shape = (2, eventful.STEPS, 5)
    anchors = windows.Anchors(np.ones(shape, dtype=np.float32), z[..., None], np.zeros((*shape[:2], 1, 1)), np.zeros(1))
    made = lows.marked(plain._replace(anchors=anchors), PANEL, RULE, "each")
    assert made.anchors.ahead is anchors.ahead
    assert isinstance(made.anchors, lows.Marks)


def test_without_events_every_day_is_a_normal_one():
    spec = frame.FrameSpec("D", 7, {"day_of_week": eventful.DAYS})
    table = frame.table(
        pd.DataFrame(
            {"unique_id": "a", "ds": eventful.DS[:30], "y": 10.0, "day_of_week": eventful.DS[:30].day_name().str[:3]}
        ),
        spec,
    )
    of = lows.known(table.panel, None, RULE)
    assert (of.below(np.array([20]), np.array([21])) == 8.0).all()


def test_a_rule_by_a_column_that_is_not_known_is_refused():
    with pytest.raises(ModelError, match="kind"):
        lows.known(PANEL, None, Rule(0.2, ("kind",), 3, "median"))
