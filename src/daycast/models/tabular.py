"""Models that learn from a table of signals: gradient-boosted trees, and a linear model as their plain counterpart.

What they learn is the deviation of each target from its profile as known at the origin, so a forecast is the profile
plus what the model adds. Letters of ``core.frame`` and ``core.tabular``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from daycast.core import held, transform
from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin, together
from daycast.core.frame import Float, Future, Panel
from daycast.core.newcomers import arranged, newcomers
from daycast.core.signals import signals
from daycast.core.tabular import Rows, Source
from daycast.core.transform import Fitted
from daycast.errors import HistoryError, ModelError
from daycast.models import learners
from daycast.models.budget import Clock
from daycast.models.learners import Learner

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext

CHUNK = 200_000
"""Rows forecast at once, so that a large panel needs no more memory than a small one."""


class Tabular:
    """``inputs: joint`` fits one learner per series, with the signals of the others beside its own; ``inputs: each``
    one learner of all series, which tells them apart by their static covariates. A series of its own that has nothing
    to learn from yet is forecast by its profile alone; facts count it as ``fallback``."""

    unlearned: ClassVar[float] = 0.0
    """What is answered where there was nothing to learn from."""

    def __init__(self, config: config.LightGbm | config.Linear | config.Logistic, context: BuildContext) -> None:
        """What is learned with follows from the family of ``config``."""
        self._config, self._context = config, context
        self._new = learners.FAMILIES[config.family]
        self._learners: list[Learner | None] = []
        self._recipe = config.profile.recipe()
        self._steps = tuple(transform.step(s.model_dump()) for s in config.transforms)
        self.horizon, self.min_history = context.horizon, 1
        self.takes_new_series = config.inputs == "each"
        self._ids: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()
        self._known: tuple[str, ...] = ()
        self._transform: Fitted

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Learn from every origin and step of the history whose target was observed; facts tell how many series have
        none, and how many learners were over their time budget.

        Raises:
            HistoryError: no series has one.
            ModelError: a column of the profile is not known.
        """
        self._ids, self._transform = history.ids, transform.fit(self._steps, history.y)
        self._known = held.chosen(history, self._config.known)
        z = transform.forward(self._transform, history.y)
        source = self._source(history, None, z)
        origin, step = self._pairs(len(history.ds))
        rows, late, self._learners = 0, 0, []
        for members in self._members(len(self._ids)):
            parts = [self._examples(source, n, members, z, (origin, step)) for n in members]
            x, y = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
            if not len(y):
                self._learners.append(None)
                continue
            learner = self._new(self._config, self._context)
            clock = Clock(getattr(self._config, "budget_s", None))  # alerts have no budget
            late += not learner.learn(x, y, self._names, clock)
            self._learners.append(learner)
            rows += len(y)
        learned = sum(learner is not None for learner in self._learners)
        if not learned:
            raise HistoryError(
                "an observed value with a profile before it",
                f"none in {len(history.ds)} timestamps of {len(self._ids)} series",
                "bring more history",
            )
        facts = {"rows": rows, "features": len(self._names), "learners": learned, "over_budget": late}
        return FitReport(facts=facts | {"fallback": len(self._learners) - learned})

    def _members(self, series: int) -> list[tuple[int, ...]]:
        """Of so many series, those of each model."""
        everyone = tuple(range(series))
        return [everyone] if self._config.inputs == "each" else [(n,) for n in everyone]

    def _others(self, series: int) -> list[int]:
        if self._config.inputs == "each":
            return []
        return [n for n in range(len(self._ids)) if n != series]

    def _pairs(self, steps: int) -> tuple[Rows, Rows]:
        """Origins and steps ahead of all rows whose targets lie within ``steps`` timestamps; the oldest year, which has
        no analogs yet, is left out of a history of more than three."""
        year = self._recipe.year
        first = max(steps - (self._config.train_steps or steps), year if steps > 3 * year else 0)
        origin, step = np.meshgrid(np.arange(first, steps - 1), np.arange(1, self.horizon + 1), indexing="ij")
        inside = origin + step < steps
        return origin[inside], step[inside]

    def _examples(
        self, source: Source, series: int, members: Sequence[int], z: Float, pairs: tuple[Rows, Rows]
    ) -> tuple[Float, Float]:
        """Rows and targets of one series, of which ``max_rows`` over all members are kept, evenly spread."""
        origin, step = pairs
        target = self._targets(source, series, z, origin, origin + step)
        seen = np.flatnonzero(np.isfinite(target))
        every = max(1, -(-len(seen) * len(members) // self._config.max_rows))
        kept = seen[series % every :: every]
        x, self._names = source.rows(series, self._others(series), origin[kept], step[kept])
        return x, target[kept]

    def _targets(self, source: Source, series: int, z: Float, origin: Rows, days: Rows) -> Float:
        """What a learner learns of one series' timestamps ``days`` as seen from the origins, ``(R,)``."""
        # From the profile proper alone: what a series begins with on a holiday is no usual level to learn from.
        return z[series, days] - source.signals.levels.at(origin, source.signals.classes[:, days])[series]

    def _start(self, source: Source, origin: Rows, days: Rows) -> Float:
        """What learners' answers are added to, ``(N, R)``: the profile of the timestamps as known at the origins."""
        return source.signals.base(origin, days)

    def _raw(self, out: Float, fitted: Fitted) -> Float:
        """Forecasts ``(O, N, H)`` in raw units."""
        return transform.inverse(fitted, out, np.zeros((*out.shape[:2], 0)))

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Forecasts ``(O, N, H)`` in raw units, H ≤ ``horizon``; NaN for a series never observed up to its origin.

        With inputs ``each``, series may come and go after the fit.

        Raises:
            ModelError: not fitted, or fitted on other features or (with inputs ``joint``) other series.
        """
        self._require_fit()
        horizon = len(origins[0].future.ds)
        out = np.full((len(origins), len(origins[0].history.ids), horizon), np.nan)
        # With a new series each by itself: what a later origin tells of it is not known at an earlier one.
        apart = newcomers(self._transform, self._ids, origins[0].history.ids)
        for members, longest in [([o], origin) for o, origin in enumerate(origins)] if apart else together(origins):
            history, fitted = longest.history, self._arranged(longest.history)
            z = transform.forward(fitted, history.y)
            source = self._source(history, longest.future, z)
            cutoffs = np.asarray([len(origins[m].history.ds) - 1 for m in members])
            out[members] = self._raw(self._forecasts(source, cutoffs, horizon), fitted)
        return out

    def _arranged(self, history: Panel) -> Fitted:
        """The transform of a history's series. Raises ``ModelError`` where they must be those of the fit and aren't."""
        if history.ids != self._ids and not self.takes_new_series:
            raise ModelError(
                f"the {len(self._ids)} series that the model was fitted on, {list(self._ids[:5])} …",
                f"{len(history.ids)} series, {list(history.ids[:5])} …",
                "forecast the data version the model was fitted for, or fit it again",
            )
        return arranged(self._transform, self._ids, history.ids, lambda new: transform.fit(self._steps, history.y[new]))

    def _source(self, history: Panel, future: Future | None, z: Float) -> Source:
        """What rows of the history ``z (N, T)``, in transformed units, and its future are made of."""
        of = signals(history, future, z, self._recipe, self.horizon)
        # Where all are wanted, all of this history's, so that others than those of the fit are noticed.
        names = held.chosen(history, None) if self._config.known is None else self._known
        history, future = held.only(history, names), None if future is None else held.only(future, names)
        return Source.of(history, future, of, self._recipe, self._config.lags, self._new.dummies)

    def _forecasts(self, source: Source, cutoffs: Rows, horizon: int) -> Float:
        """Forecasts ``(O, N, H)`` in transformed units."""
        origin, step = (a.ravel() for a in np.meshgrid(cutoffs, np.arange(1, horizon + 1), indexing="ij"))
        z = self._start(source, origin, origin + step)
        for learner, members in zip(self._learners, self._members(len(z)), strict=True):
            if learner is None:
                z[list(members)] += self.unlearned
                continue
            for n in members:
                for part in _chunks(len(origin)):
                    x, names = source.rows(n, self._others(n), origin[part], step[part])
                    if names != self._names:
                        raise ModelError(
                            f"the features that the model was fitted on, {len(self._names)} of them",
                            f"{sorted(set(names) ^ set(self._names))[:5]} differ",
                            "forecast the data version the model was fitted for, or fit it again",
                        )
                    z[n, part] += learner.answer(x)
        return np.moveaxis(z.reshape(len(z), len(cutoffs), horizon), 0, 1)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The transform, series and features as values, and each learner's arrays under ``<number>.<name>``."""
        self._require_fit()
        values = {"ids": list(self._ids), "names": list(self._names), "known": list(self._known)}
        values["transform"] = self._transform.to_json()
        learned = [(i, learner) for i, learner in enumerate(self._learners) if learner is not None]
        arrays = {f"{i}.{n}": a for i, learner in learned for n, a in learner.state().items()}
        return values | {"learned": [i for i, _ in learned]}, arrays

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        self._ids, self._names, self._known = (tuple(values[part]) for part in ("ids", "names", "known"))
        self._transform = Fitted.from_json(values["transform"])
        self._learners = [None] * len(self._members(len(self._ids)))
        for i in values.get("learned", range(len(self._learners))):
            prefix = f"{i}."
            learner = self._new(self._config, self._context)
            learner.restore({n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)})
            self._learners[i] = learner

    def _require_fit(self) -> None:
        if not self._learners:
            raise ModelError("a fitted model", "one that was never fitted", "call fit or restore first")


def _chunks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, CHUNK):
        yield slice(start, start + CHUNK)
