"""Forecasts of a trained network: always in this process and on its CPU, some series after the others, and complete.

Letters of ``core.frame``; channels and groups of ``core.windows``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from daycast.core import parts
from daycast.core.context import Context
from daycast.core.forecast import Origin
from daycast.core.frame import Float
from daycast.errors import OutputError
from daycast.models.networks import Network
from daycast.models.recipe import Recipe, Transforms

CHUNK = 1024
"""Samples forecast at once. More at once is slower: 146 series from 182 origins took 0.9 s at 1024 and 2.0 s at 32768
(GRU, 32 units, lookback 56, one thread)."""


@dataclass(frozen=True)
class Inference:
    """A trained network and what it was fitted with.

    Attributes:
        series: names of the series of the fit, in their order.
        numbered: whether the network has a vector for each of them.
    """

    network: Network
    recipe: Recipe
    transforms: Transforms
    series: Sequence[str]
    numbered: bool

    def forecasts(self, origins: Sequence[Origin], levels: Sequence[float] | None) -> Float:
        """``(O, N, H, Q)`` in raw units; point forecasts, Q = 1, without levels.

        Raises:
            OutputError: not every series has a forecast of every step from every origin, once.
        """
        ids, steps = origins[0].history.ids, len(origins[0].future.ds)
        out = np.full((len(origins), len(ids), steps, len(levels or "1")), np.nan)
        times = np.zeros(out.shape[:2], dtype=np.int64)  # how many steps each was forecast
        numbers = self._numbers(ids)
        for first, some, transforms in self._transformed(origins):
            for rows in self._parts(len(ids)):
                own = [Origin(parts.panel(origin.history, rows), origin.future) for origin in some]
                part, samples = transforms.part(rows), len(own[0].history.ids) if self.recipe.layout == "each" else 1
                for places, seen in part.contexts(self.recipe, own, max(1, CHUNK // samples)):
                    z = self._outputs(_beside(seen, numbers[rows]), len(places), levels)
                    raw = [part.raw(self.recipe, z[..., q], seen) for q in range(z.shape[-1])]
                    at = first + np.array(places)
                    out[at, rows] = np.stack(raw, axis=-1)
                    times[at, rows] += raw[0].shape[2]
        if (times != steps).any():
            raise OutputError(
                f"{times.size * steps} forecasts: {len(ids)} series by {steps} steps, from {len(origins)} origins",
                f"{times.sum()}; {int((times != steps).any(axis=0).sum())} series with fewer or more",
                "mend the model: no part of its series may be left out",
            )
        return out

    def _parts(self, series: int) -> Iterator[slice]:
        """Which series are forecast at once."""
        return parts.rows(series) if self.recipe.layout == "each" else iter([slice(0, series)])

    def _transformed(self, origins: Sequence[Origin]) -> Iterator[tuple[int, Sequence[Origin], Transforms]]:
        """Origins that share a transform, the place of the first, and the transform."""
        ids = origins[0].history.ids
        # With a new one each by itself: what a later origin tells of it is not known at an earlier one.
        new = self.transforms.new(self.series, origins[0].history)
        size = 1 if new else len(origins)
        for first in range(0, len(origins), size):
            some, transforms = origins[first : first + size], self.transforms
            if new or list(ids) != list(self.series):
                transforms = transforms.of_series(self.recipe, self.series, some[0].history)
            yield first, some, transforms

    def _numbers(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The series' numbers in the fit, ``(N, 1)``, or ``(N, 0)`` where the network has no use for them."""
        if not self.numbered:
            return np.zeros((len(ids), 0), dtype=np.float32)
        number = {name: i for i, name in enumerate(self.series)}
        return np.array([[number.get(name, len(number))] for name in ids], dtype=np.float32)

    @torch.inference_mode()
    def _outputs(self, seen: Context, origins: int, levels: Sequence[float] | None) -> Float:
        """Of the network, ``(O, N, H, Q)`` in float64."""
        given = [torch.from_numpy(array) for array in (seen.past, seen.future, seen.static)]
        output = self.network(*given)[..., None] if levels is None else self.network.quantiles(*given, levels)
        steps, targets, numbers = output.shape[1:]
        z = output.numpy().astype(np.float64).reshape(origins, -1, steps, targets, numbers)
        return np.asarray(z.swapaxes(2, 3).reshape(origins, -1, steps, numbers))


def _beside(seen: Context, numbers: NDArray[np.float32]) -> Context:
    """With the series' numbers at the end of its static covariates."""
    if not numbers.shape[1]:
        return seen
    repeated = np.tile(numbers, (len(seen.static) // len(numbers), 1))
    return seen._replace(static=np.concatenate([seen.static, repeated], axis=1))
