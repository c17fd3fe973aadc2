"""How a history becomes windows: what is fitted on it, and what the windows depend on. Letters of ``core.frame``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from daycast.config import Recurrent
from daycast.core import transform
from daycast.core.frame import Panel
from daycast.core.transform import Fitted, Scale, Step
from daycast.core.windows import Layout, Windows, as_series, windows


@dataclass(frozen=True)
class Recipe:
    """All that windows depend on beside the history; equal recipes give equal windows.

    Attributes:
        steps: the transform of y.
        lookback, horizon: steps.
        layout: whether all series are one sample, or each is one.
        train_steps: most recent timestamps used, or ``None`` for all.
    """

    steps: tuple[Step, ...]
    lookback: int
    horizon: int
    layout: Layout
    train_steps: int | None

    @classmethod
    def of(cls, model: Recurrent, horizon: int) -> Recipe:
        """The recipe of a configured network."""
        steps = tuple(transform.step(s.model_dump()) for s in model.transforms)
        return cls(steps, model.lookback, horizon, model.inputs, model.train_steps)

    @property
    def min_history(self) -> int:
        """Rows of history that one forecast needs."""
        return self.lookback + sum(step.memory for step in self.steps)

    def limited(self, history: Panel) -> Panel:
        """The rows to learn from."""
        steps = len(history.ds)
        return history.since(history.ds[max(0, steps - (self.train_steps or steps))])


class Transforms(NamedTuple):
    """Fitted on y, and on the past covariates (each brought to zero mean and unit deviation) if there are any."""

    y: Fitted
    past: Fitted | None

    @classmethod
    def of(cls, recipe: Recipe, history: Panel) -> Transforms:
        """Fit on everything in ``history``."""
        past = as_series(history.past)
        scaled = transform.fit((Scale("standard"),), past) if len(past) else None
        return cls(transform.fit(recipe.steps, history.y), scaled)

    def windows(self, recipe: Recipe, history: Panel) -> Windows:
        """All windows of ``history``, transformed."""
        z = transform.forward(self.y, history.y)
        return windows(history, z, recipe.lookback, recipe.horizon, recipe.layout, self.past)
