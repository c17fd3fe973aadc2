"""Series that come and go after a fit: what was fitted for some of them, laid out for others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from daycast.core.scale import Scale
from daycast.core.transform import Fitted


def newcomers(fitted: Fitted, ids: Sequence[Hashable], wanted: Sequence[Hashable]) -> list[int]:
    """Places among ``wanted`` of series that a transform fitted for ``ids`` knows nothing of.

    They were not among those of the fit, or it could tell too little of them; none where a transform learns nothing of
    each series. Names and the fit alone decide, not what series have by now: that is not known at every origin.
    """
    if not any(isinstance(step, Scale) and step.method != "none" for step in fitted.steps):
        return []
    place = _known(fitted, ids)
    return [i for i, name in enumerate(wanted) if name not in place]


def arranged(
    fitted: Fitted, ids: Sequence[Hashable], wanted: Sequence[Hashable], fit: Callable[[list[int]], Fitted]
) -> Fitted:
    """A transform fitted for the series ``ids`` as one for ``wanted``, in their order; series that left are dropped.

    Args:
        fit: called with the places among ``wanted`` of series that are new or were not seen in the fit, if any; gives a
            transform of the same steps fitted on them.
    """
    place = _known(fitted, ids)
    new = [i for i, name in enumerate(wanted) if name not in place]
    parts = [fitted, fit(new)] if new else [fitted]
    place |= {wanted[i]: len(ids) + k for k, i in enumerate(new)}
    states = []
    for of_step in zip(*(part.states for part in parts), strict=True):
        joined = {name: [value for state in of_step for value in state[name]] for name in of_step[0]}
        states.append({name: [values[place[series]] for series in wanted] for name, values in joined.items()})
    seen = [one for part in parts for one in part.seen]
    return Fitted(fitted.steps, tuple(states), tuple(seen[place[series]] for series in wanted))


def _known(fitted: Fitted, ids: Sequence[Hashable]) -> dict[Hashable, int]:
    """The place of each series that was seen in the fit."""
    return {name: i for i, name in enumerate(ids) if fitted.seen[i]}
