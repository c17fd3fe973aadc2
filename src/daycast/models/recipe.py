"""How a history becomes windows: what is fitted on it, and what the windows depend on. Letters of ``core.frame``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from daycast.config import Recurrent
from daycast.core import anchored, arrays, held, lows, parts, transform, windows
from daycast.core import signals as signal
from daycast.core.arrays import Arrays
from daycast.core.channels import Columns
from daycast.core.context import Context, context
from daycast.core.fill import seasonal_fill
from daycast.core.forecast import Origin, together
from daycast.core.frame import Float, Panel
from daycast.core.newcomers import arranged, newcomers
from daycast.core.transform import Fitted, Scale, Step
from daycast.core.windows import Layout, Windows, as_series
from daycast.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """All that windows depend on beside the history; equal recipes give equal windows.

    Attributes:
        steps: the transform of y.
        lookback, horizon: steps.
        layout: whether all series are one sample, or each is one.
        train_steps: most recent timestamps used, or ``None`` for all.
        known: known columns used, or ``None`` for all.
        signals: how the profile's signals are made, or ``None`` to learn the transformed values themselves.
        clip: see ``core.anchored.View``.
        low: what a low day is, if the targets are whether one comes; ``None`` for values or deviations.
    """

    steps: tuple[Step, ...]
    lookback: int
    horizon: int
    layout: Layout
    train_steps: int | None
    known: tuple[str, ...] | None
    signals: signal.Recipe | None
    clip: float
    low: lows.Rule | None = None

    @classmethod
    def of(cls, model: Recurrent, horizon: int) -> Recipe:
        """The recipe of a configured network, where the backtest's horizon is ``horizon``."""
        steps = tuple(transform.step(s.model_dump()) for s in model.transforms)
        made = None if model.profile is None else model.profile.recipe()
        ahead = model.steps(horizon)
        return cls(steps, model.lookback, ahead, model.inputs, model.train_steps, model.known, made, model.clip)

    @property
    def anchored(self) -> bool:
        """Whether windows hold their targets beside their inputs."""
        return self.signals is not None or self.low is not None

    @property
    def min_history(self) -> int:
        """Rows of history that one forecast needs."""
        return self.lookback + sum(step.memory for step in self.steps)

    def features(self, history: Panel) -> tuple[str, ...]:
        """Names of the known features that a fit on this history uses. Raises ``ConfigError`` if one is unknown."""
        return held.chosen(history, self.known)

    def limited(self, history: Panel) -> Panel:
        """The rows to learn from."""
        steps = len(history.ds)
        return history.since(history.ds[max(0, steps - (self.train_steps or steps))])

    def recent(self, y: Float) -> Float:
        """``y (N, T)`` without what is older than the rows to learn from, for series that have a value among those."""
        old = np.arange(y.shape[1]) < y.shape[1] - (self.train_steps or y.shape[1])
        return np.where(old & np.isfinite(y[:, ~old]).any(axis=1, keepdims=True), np.nan, y)

    def check(self, windows: Windows, history: Panel) -> None:
        """Raise ``ModelError`` where windows are of another history or recipe, as far as their shapes tell."""
        known = len(self.features(history))
        found = (windows.inputs.shape[1], windows.known.shape[1], windows.lookback, windows.horizon)
        groups = 1 if self.layout == "joint" else len(history.ids)
        expected = (len(history.ds), known, self.lookback, self.horizon)
        if (len(windows.inputs), *found) != (groups, *expected) or (windows.anchors is None) == self.anchored:
            raise ModelError(
                f"windows of this history and recipe: (G, T, F, L, H) = {(groups, *expected)}",
                f"{(len(windows.inputs), *found)}",
                "make them with prepare_windows of the same history",
            )


class Transforms(NamedTuple):
    """What is fitted on a history before a network sees it.

    Attributes:
        y: of the values.
        past: of the past covariates, each brought to zero mean and unit deviation; ``None`` without any.
        spread: of the signals; ``None`` without a profile.
        known: names of the known features that are used.
    """

    y: Fitted
    past: Fitted | None
    spread: float | None
    known: tuple[str, ...]

    @classmethod
    def of(cls, recipe: Recipe, history: Panel) -> Transforms:
        """Fit on everything in ``history``."""
        made = cls(*_fitted(recipe, history), None, recipe.features(history))
        if recipe.signals is None:
            return made
        each = parts.rows(len(history.ids))
        return made._replace(spread=anchored.spread(made._signals(recipe, history, some) for some in each))

    def part(self, some: slice) -> Transforms:
        """Those of some of the series."""
        if self.past is None:
            return self._replace(y=parts.fitted(self.y, some))
        each = len(self.past.seen) // len(self.y.seen)
        past = parts.fitted(self.past, slice(some.start * each, some.stop * each))
        return self._replace(y=parts.fitted(self.y, some), past=past)

    def _signals(self, recipe: Recipe, history: Panel, some: slice) -> signal.Signals:
        """Of some of the series."""
        assert recipe.signals is not None
        own = parts.panel(history, some)
        z = transform.forward(parts.fitted(self.y, some), own.y)
        return signal.signals(own, None, z, recipe.signals, recipe.horizon)

    def columns(self, names: Sequence[str]) -> Columns:
        """Where, among the known features ``names``, those stand that are used."""
        return np.flatnonzero(np.isin(names, self.known))

    def arrays(self, recipe: Recipe, history: Panel) -> Iterator[Arrays]:
        """What windows of ``history`` look into, transformed: of some groups after the others."""
        if recipe.layout == "joint":
            yield self._arrays(recipe, history)
            return
        for some in parts.rows(len(history.ids)):
            yield self.part(some)._arrays(recipe, parts.panel(history, some))

    def _arrays(self, recipe: Recipe, history: Panel) -> Arrays:
        z = transform.forward(self.y, history.y)
        if recipe.signals is None:
            made = windows.arrays(history, z, recipe.layout, self.past, self.columns(history.known_names))
        else:
            of = signal.signals(history, None, z, recipe.signals, recipe.horizon)
            made = self._view(recipe, history).arrays(history, of, z)
        return made if recipe.low is None else lows.marked(made, history, recipe.low, recipe.layout)

    def windows(self, recipe: Recipe, history: Panel) -> Windows:
        """All windows of ``history``, transformed."""
        made = arrays.joined(list(self.arrays(recipe, history)))
        return windows.windows_of(made, recipe.lookback, recipe.horizon)

    def contexts(self, recipe: Recipe, origins: Sequence[Origin], size: int) -> Iterator[tuple[list[int], Context]]:
        """What a network sees when it forecasts, at most ``size`` origins at once, and their places among them."""
        if recipe.signals is None:
            columns = self.columns(origins[0].history.known_names)
            for start in range(0, len(origins), size):
                part = origins[start : start + size]
                yield (
                    list(range(start, start + len(part))),
                    context(part, self.y, recipe.lookback, recipe.layout, self.past, columns),
                )
            return
        for members, longest in together(origins):
            z = transform.forward(self.y, longest.history.y)
            of = signal.signals(longest.history, longest.future, z, recipe.signals, recipe.horizon)
            for start in range(0, len(members), size):
                places = members[start : start + size]
                yield (
                    places,
                    self._view(recipe, longest.history).context([origins[p] for p in places], of, recipe.lookback),
                )

    def of_series(self, recipe: Recipe, ids: Sequence[str], history: Panel) -> Transforms:
        """As fitted for the series ``ids``, in ``history``'s order; those that it tells nothing of are fitted on it."""
        y = arranged(self.y, ids, history.ids, lambda new: parts.fit(recipe.steps, recipe.recent(history.y[new])))
        if self.past is None:
            return Transforms(y, None, self.spread, self.known)
        each = history.past.shape[2]

        def fit(new: list[int]) -> Fitted:
            series, covariate = np.divmod(new, each)
            return _standard(recipe.recent(history.past[series, :, covariate]))

        return Transforms(y, arranged(self.past, *_channels(history, ids), fit), self.spread, self.known)

    def new(self, ids: Sequence[str], history: Panel) -> bool:
        """Whether ``of_series`` would learn something of this history."""
        past = [] if self.past is None else newcomers(self.past, *_channels(history, ids))
        return bool(newcomers(self.y, ids, history.ids) or past)

    def raw(self, recipe: Recipe, z: Float, seen: Context) -> Float:
        """Raw values (of low days: probabilities) ``(O, N, H)`` of a network's outputs ``z``; NaN for a series never
        observed."""
        if recipe.low is not None:
            return np.where(seen.seen[..., None], z, np.nan)
        if seen.level is not None and self.spread is not None:
            return transform.inverse(self.y, z * self.spread + seen.level, seen.tail)
        # An anchor before a series' first value: take that value, as if the series had been flat until then.
        tail = seasonal_fill(seen.tail[..., ::-1], 1)[..., ::-1]
        return np.where(seen.seen[..., None], transform.inverse(self.y, z, tail), np.nan)

    def _view(self, recipe: Recipe, history: Panel) -> anchored.View:
        return anchored.View(self.spread or 1.0, recipe.clip, recipe.layout, self.columns(history.known_names))

    def to_json(self) -> dict[str, Any]:
        """JSON-able values that ``from_json`` takes back without losing a bit."""
        past = None if self.past is None else self.past.to_json()
        return {"transform": self.y.to_json(), "past_transform": past, "spread": self.spread, "known": self.known}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Transforms:
        """The transforms that ``to_json`` described."""
        past = values["past_transform"]
        fitted = None if past is None else Fitted.from_json(past)
        return cls(Fitted.from_json(values["transform"]), fitted, values["spread"], tuple(values["known"]))


def _fitted(recipe: Recipe, history: Panel) -> tuple[Fitted, Fitted | None]:
    """The transforms of y and of the past covariates, if there are any."""
    y = parts.fit(recipe.steps, history.y)
    if not history.past.shape[2]:
        return y, None
    each = parts.rows(len(history.ids))
    return y, parts.joined([_standard(as_series(history.past[some])) for some in each])


def _channels(history: Panel, ids: Sequence[str]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Names of the past covariates of the series ``ids``, and of the history's."""
    each = range(history.past.shape[2])
    return list(product(ids, each)), list(product(history.ids, each))


def _standard(past: Float) -> Fitted:
    return transform.fit((Scale("standard"),), past)
