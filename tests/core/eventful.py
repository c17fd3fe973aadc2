"""Two made-up series with weekdays and an event that comes back twice, for the tests of signals and what uses them."""

import numpy as np
import pandas as pd

from daycast.core import events
from daycast.core.calendar import DAYS
from daycast.core.forecast import Origin
from daycast.core.frame import FrameSpec, Future, Panel
from daycast.core.signals import Recipe

RECIPE = Recipe(("day_of_week",), 3, "median", None, 2, 2, 56, (3, 7), (7,), None)
RULES = [events.Rule("fair", (0, 1), date="02-10"), events.Rule("fair", (0, 1), date="05-20")]
LEVELS = events.levels(RULES)
STEPS, AHEAD = 200, 14
DS = pd.date_range("2019-01-01", periods=STEPS + AHEAD)
LABELS = events.labels(DS, RULES)
KNOWN = np.column_stack(
    [np.eye(7)[DS.dayofweek], (LABELS[:, None] == np.asarray(LEVELS, dtype=object)).astype(np.float64)]
)
NAMES = (*(f"day_of_week={d}" for d in DAYS), *(f"event={x}" for x in LEVELS))
RNG = np.random.default_rng(1)
Y = RNG.normal(size=(2, STEPS)) + DS.dayofweek.to_numpy()[:STEPS]
Y[0, 90:97] = np.nan
Y[1, 100] = -50.0


def panel(steps=STEPS, y=Y):
    spec = FrameSpec("D", 7, {"day_of_week": DAYS, "event": LEVELS})
    none = np.zeros((2, steps, 0))
    return Panel(spec, ("a", "b"), DS[:steps], y[:, :steps], KNOWN[:steps], none, np.zeros((2, 0)), NAMES, (), ())


def future(steps=STEPS):
    return Future(DS[steps : steps + AHEAD], KNOWN[steps : steps + AHEAD], NAMES)


def origin(steps):
    """The origin at row ``steps - 1``, its history a view of the one panel of ``WHOLE``."""
    return Origin(WHOLE.until(DS[steps - 1]), future(steps))


WHOLE = panel()
