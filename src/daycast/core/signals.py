"""What a history tells beyond its values: how far each series stands from its profile, and what earlier years did.

Everything at a timestamp comes from that timestamp and earlier ones, and what is told *ahead* of one from at least a
horizon earlier. So signals computed once over a long history serve every cutoff in it, each with the bits it would
get alone. Letters of ``core.frame``; ``S`` timestamps of history and future, ``C`` observed signals, ``A`` ahead ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daycast.core import held, profile
from daycast.core.frame import Float, Future, Panel
from daycast.core.layout import EVENT
from daycast.core.profile import Codes, Levels
from daycast.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """How signals are made; see ``config.Profile``.

    Attributes:
        by, window, statistic, enough: of the profile, see ``profile.levels``.
        newest: window, as of the profile, of the newest timestamps of a class, or ``None``: they are not told.
        analogs: how many earlier years are looked up.
        year: steps in a year that keep the weekday.
        means: lengths, steps, of the means of innovations.
        growth: lengths, steps, of the means that are compared with those a year before.
        closed: raw values at or below which a timestamp counts in no level and is no analog; ``None`` for none.
    """

    by: tuple[str, ...]
    window: int
    statistic: Literal["median", "mean"]
    enough: int | None
    newest: int | None
    analogs: int
    year: int
    means: tuple[int, ...]
    growth: tuple[int, ...]
    closed: float | None

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the observed signals, along C."""
        means, growth = (f"mean{w}" for w in self.means), (f"growth{w}" for w in self.growth)
        return ("innovation", "deviation", *means, *growth)

    @property
    def ahead(self) -> tuple[str, ...]:
        """Names of the signals told ahead, along A."""
        return ("analog", *(f"analog{k}" for k in range(1, self.analogs + 1)), "analog_share", "is_event")


@dataclass(frozen=True, eq=False)
class Signals:
    """Signals of N series, in transformed units.

    Attributes:
        levels: the profile.
        early: the level of a series without a normal timestamp yet, ``(N, T)``; see ``profile.early``.
        newest: the same of the newest timestamps of each class alone; ``None``: they are not told.
        classes: of each timestamp of history and future, ``(D, S)``.
        event: code of the event's day at each, ``(S,)``; 0 is none.
        observed: ``(N, T, C)``. ``innovation``: the deviation minus its analog; ``deviation``: from the profile as
            known a step before; ``mean7`` …: mean of the last 7 innovations; ``growth28`` …: mean of the last 28 values
            minus that of the same ones a year before. NaN where it can't be told.
        open: which days are not closed ones, ``(N, T)``.
        ahead: ``(N, S, A)``. ``analog``: the median of the deviations of its analogs, as one of them may have had a
            blizzard; 0 without any. ``analog1`` …: each of them, newest first, NaN for none. ``analog_share``: how many
            there are, of the most. ``is_event``: 1 on an event's day, else 0.
    """

    levels: Levels
    early: Float
    newest: Levels | None
    classes: Codes
    event: Codes
    observed: Float
    open: NDArray[np.bool_]
    ahead: Float

    def base(self, rows: NDArray[np.integer], days: NDArray[np.integer]) -> Float:
        """The profile ``(N, R)`` of the timestamps ``days (R,)`` as known at ``rows (R,)``; NaN where unknown."""
        found = self.levels.at(rows, self.classes[:, days])
        return np.where(np.isnan(found), self.early[:, rows], found)

    def newer(self, rows: NDArray[np.integer], days: NDArray[np.integer]) -> Float:
        """How far the newest of the classes of ``days (R,)`` stand from their profile, as known at ``rows (R,)``.

        The profile needs half a window to follow a change; this tells of it sooner, of each class by its own.

        Returns:
            ``(N, R, 1)``, NaN where unknown; ``(N, R, 0)`` where it is not told.
        """
        if self.newest is None:
            return np.zeros((len(self.observed), len(rows), 0))
        return (self.newest.at(rows, self.classes[:, days]) - self.base(rows, days))[..., None]


def signals(history: Panel, future: Future | None, z: Float, recipe: Recipe, horizon: int) -> Signals:
    """The signals of a history and the future after it.

    Args:
        z: the history's values after ``transform.forward``, ``(N, T)``; NaN where missing.
        horizon: the most steps ahead that anything is forecast from these signals.

    Raises:
        ModelError: a column of the profile is not known ahead, or analogs of a year before would not be known a horizon
            ahead.
    """
    if recipe.analogs and recipe.year < horizon:
        raise ModelError(
            f"a horizon of at most profile.year = {recipe.year} steps, as analogs are that far back",
            f"{horizon}",
            "shorten the horizon, or set the model's profile.analogs to 0",
        )
    steps, ahead = z.shape[1], 0 if future is None else len(future.ds)
    held.refuse(history, recipe.by)
    of = profile.classes(history.levels, recipe.by, steps)
    event = _events(history)
    if future is not None:
        of = np.concatenate([of, profile.classes(future.levels, recipe.by, ahead)], axis=1)
        event = np.concatenate([event, _events(future)])
    open_ = _open(history.y, recipe.closed)
    usual = (np.where(open_, z, np.nan), event[:steps] == 0, of[:, :steps])
    known = profile.levels(*usual, recipe.window, recipe.statistic, recipe.enough)
    newest = None if recipe.newest is None else profile.levels(*usual, recipe.newest, recipe.statistic)
    deviation = profile.deviations(z, of[:, :steps], known)
    rows = profile.analogs(event, of[0], recipe.analogs, recipe.year, horizon)
    told = np.where(open_, deviation, np.nan)[:, np.clip(rows, 0, steps - 1)]
    seen = np.where(rows >= 0, told, np.nan)  # (N, S, analogs)
    count = np.isfinite(seen).sum(axis=2)
    analog = _median(seen, count)
    share = count / max(recipe.analogs, 1)
    is_event = np.broadcast_to(event > 0, share.shape).astype(np.float64)
    innovation = deviation - analog[:, :steps]
    observed = [innovation, deviation, *(_mean(innovation, w) for w in recipe.means)]
    for width in recipe.growth:
        level = _mean(z, width)
        before = np.full_like(level, np.nan)
        before[:, recipe.year :] = level[:, : -recipe.year]
        observed.append(level - before)
    return Signals(
        known,
        profile.early(*usual[:2], recipe.window, recipe.statistic),
        newest,
        of,
        event,
        np.stack(observed, axis=2),
        open_,
        np.concatenate([analog[..., None], seen, share[..., None], is_event[..., None]], axis=2),
    )


def _open(y: Float, closed: float | None) -> NDArray[np.bool_]:
    """Which values are not of closed timestamps, ``(N, T)``; those before a series' first open one count as open."""
    if closed is None:
        return np.ones(y.shape, dtype=np.bool_)
    found = y > closed
    return np.asarray(found | ~np.logical_or.accumulate(found, axis=1) | np.isnan(y))


def _events(of: Panel | Future) -> Codes:
    found = of.levels(EVENT)
    return np.zeros(len(of.ds), dtype=np.int64) if found is None else found[0]


def _median(seen: Float, count: NDArray[np.integer]) -> Float:
    """Median over the last axis of ``seen (N, S, analogs)``, of which ``count`` are observed; 0 where none is."""
    if not seen.shape[2]:
        return np.zeros(seen.shape[:2])
    ordered = np.sort(seen, axis=2)  # NaN last
    middle = [np.maximum(at, 0)[..., None] for at in ((count - 1) // 2, count // 2)]
    low, high = (np.take_along_axis(ordered, at, axis=2)[..., 0] for at in middle)
    return np.where(count > 0, (low + high) / 2, 0.0)


def _mean(values: Float, width: int) -> Float:
    """Mean of the observed ones of the last ``width`` values up to each, ``(N, T)``; NaN without any."""
    seen = np.isfinite(values)
    total, count = (np.cumsum(v, axis=1, dtype=np.float64) for v in (np.where(seen, values, 0.0), seen))
    for sums in (total, count):
        sums[:, width:] = sums[:, width:] - sums[:, :-width]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
