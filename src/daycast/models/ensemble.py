"""The same network fitted from several seeds, its forecasts averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Panel
from daycast.core.transform import Fitted
from daycast.core.windows import Windows
from daycast.errors import ModelError
from daycast.models.neural import NeuralForecaster


class Ensemble:
    """The mean forecast of networks that differ in their seed alone, so that they share one recipe and its windows."""

    def __init__(self, members: Sequence[NeuralForecaster]) -> None:
        if not members or any(m.config != members[0].config or m.recipe != members[0].recipe for m in members):
            raise ModelError(
                "at least one member, all of one configuration and recipe",
                f"{len(members)} members",
                "build them with models.build(config, context, seeds=k)",
            )
        self.members = tuple(members)
        self.recipe = members[0].recipe
        self.horizon, self.min_history = members[0].horizon, members[0].min_history
        self.takes_new_series = members[0].takes_new_series

    def prepare_windows(self, history: Panel) -> tuple[Fitted, Windows]:
        """As of one member: they are equal."""
        return self.members[0].prepare_windows(history)

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:
        """Fit each member in turn; raises what a member's fit raises.

        ``on_epoch`` counts on over the members: member i's epoch e of E is e + i·E of k·E.

        Returns:
            Each curve as ``<name>_<i>``, i from 1; facts summed over members where they count work (``epochs``,
            ``parameters``), averaged for ``best_val_loss``, and the first member's otherwise.
        """
        if windows is None:
            windows = self.prepare_windows(history)[1]
        reports = [
            member.fit(history, windows, _shifted(on_epoch, i, len(self.members)))
            for i, member in enumerate(self.members)
        ]
        return self._told(reports)

    def join(self, parts: Sequence[NeuralForecaster], reports: Sequence[FitReport]) -> FitReport:
        """Take members that were fitted elsewhere in place of its own, in their order, and what their fits told."""
        self.members = tuple(parts)
        return self._told(reports)

    def _told(self, reports: Sequence[FitReport]) -> FitReport:
        curves = {f"{name}_{i}": c for i, r in enumerate(reports, start=1) for name, c in r.curves.items()}
        summed = {name: sum(int(r.facts[name]) for r in reports) for name in ("epochs", "parameters")}
        loss = float(np.mean([r.facts["best_val_loss"] for r in reports]))
        return FitReport(curves, {**reports[0].facts, **summed, "best_val_loss": loss, "members": len(self.members)})

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Mean of the members' forecasts, ``(O, N, H)`` in raw units."""
        return np.mean([member.predict(origins) for member in self.members], axis=0)

    def quantiles(self, origins: Sequence[Origin], levels: Sequence[float]) -> Float:
        """Mean of the members' quantiles at each level, ``(O, N, H, Q)`` in raw units; raises what a member's do.

        Averaging along levels keeps them in order, and is as sharp as the members are (Lichtendahl et al. 2013,
        https://doi.org/10.1287/mnsc.1120.1667); averaging their distributions would widen them by how far they differ.
        """
        return np.mean([member.quantiles(origins, levels) for member in self.members], axis=0)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The members' states: values as a list, arrays under ``<i>.<name>``."""
        states = [member.state() for member in self.members]
        arrays = {f"{i}.{name}": array for i, (_, own) in enumerate(states) for name, array in own.items()}
        return {"members": [values for values, _ in states]}, arrays

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        for i, (member, own) in enumerate(zip(self.members, values["members"], strict=True)):
            prefix = f"{i}."
            member.restore(own, {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)})


def _shifted(on_epoch: OnEpoch | None, member: int, members: int) -> OnEpoch | None:
    if on_epoch is None:
        return None
    return lambda epoch, most, metrics: on_epoch(member * most + epoch, members * most, metrics)
