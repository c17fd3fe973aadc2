"""Many series in parts, so that what is computed of them at once does not grow with how many there are.

Everything here is done series by series anyway: parts give the bits that all together would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from daycast.core import transform
from daycast.core.frame import Float, Panel
from daycast.core.transform import Fitted, Step

SERIES = 256
"""Series at once: more are no faster, and with three years of days a part takes some tens of MB."""


def rows(series: int) -> Iterator[slice]:
    """Where the parts of so many series lie, in order."""
    yield from (slice(first, min(first + SERIES, series)) for first in range(0, series, SERIES))


def panel(of: Panel, some: slice) -> Panel:
    """Some series of a panel, as views."""
    return replace(of, ids=of.ids[some], y=of.y[some], past=of.past[some], static=of.static[some])


def fit(steps: Sequence[Step], y: Float) -> Fitted:
    """As ``transform.fit``."""
    return joined([transform.fit(steps, y[some]) for some in rows(len(y))])


def joined(fitted: Sequence[Fitted]) -> Fitted:
    """One chain for the series of several, in their order."""
    states = [
        {name: [value for state in of_step for value in state[name]] for name in of_step[0]}
        for of_step in zip(*(one.states for one in fitted), strict=True)
    ]
    return Fitted(fitted[0].steps, tuple(states), tuple(seen for one in fitted for seen in one.seen))


def fitted(of: Fitted, some: slice) -> Fitted:
    """A chain for some of its series."""
    states = tuple({name: values[some] for name, values in state.items()} for state in of.states)
    return Fitted(of.steps, states, of.seen[some])
