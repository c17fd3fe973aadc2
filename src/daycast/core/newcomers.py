"""Series that come and go after a fit: what was fitted for some of them, laid out for others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from daycast.core.transform import Fitted


def arranged(
    fitted: Fitted, ids: Sequence[Hashable], wanted: Sequence[Hashable], fit: Callable[[list[int]], Fitted]
) -> Fitted:
    """A transform fitted for the series ``ids`` as one for ``wanted``, in their order; series that left are dropped.

    Args:
        fit: called with the places among ``wanted`` of series that are new, if any; gives a transform of the same steps
            fitted on them.
    """
    place = {name: i for i, name in enumerate(ids)}
    new = [i for i, name in enumerate(wanted) if name not in place]
    parts = [fitted, fit(new)] if new else [fitted]
    place |= {wanted[i]: len(ids) + k for k, i in enumerate(new)}
    states = []
    for of_step in zip(*(part.states for part in parts), strict=True):
        joined = {name: [value for state in of_step for value in state[name]] for name in of_step[0]}
        states.append({name: [values[place[series]] for series in wanted] for name, values in joined.items()})
    return Fitted(fitted.steps, tuple(states), len(wanted))
