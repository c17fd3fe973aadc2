"""A weighted mean of fitted forecasters of any families, as one forecaster. Letters of ``core.frame``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daycast.core import blending
from daycast.core.forecast import Arrays, FitReport, Forecaster, OnEpoch, Origin, predict
from daycast.core.frame import Float, Panel
from daycast.errors import ModelError

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext


class Blend:
    """Members are fitted apart and handed in by ``join``: they are models of their own, in the same table."""

    def __init__(self, config: config.Blend, context: BuildContext) -> None:  # noqa: ARG002
        """Its horizon is the context's: a member of a shorter one is iterated."""
        self.horizon, self.min_history, self.takes_new_series = context.horizon, 1, False
        self._members: list[Forecaster] = []
        self._weights: Float = np.zeros((0, self.horizon))  # (M, H)

    def join(self, members: Sequence[Forecaster], weights: Float) -> FitReport:
        """Take M fitted members from ``models.build`` and their weights ``(M, H)``, each step's summing to 1.

        A member without weight at any step is left out.

        Raises:
            ModelError: the weights are not as many as members and steps.
        """
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != (len(members), self.horizon):
            raise ModelError(
                f"weights of {len(members)} members at {self.horizon} steps", f"{weights.shape}", "weigh them anew"
            )
        kept = np.flatnonzero(weights.any(axis=1))
        self._members, self._weights = [members[m] for m in kept], weights[kept]
        self.min_history = max(member.min_history for member in self._members)
        self.takes_new_series = all(member.takes_new_series for member in self._members)
        return FitReport(facts={"members": len(kept)})

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Fit each of the joined members anew, on windows of its own; weights stay as they are.

        Raises:
            ModelError: nothing was joined.
        """
        self._check()
        reports = [member.fit(history, None, on_epoch) for member in self._members]
        late = sum(int(report.facts.get("over_budget", 0)) for report in reports)
        return FitReport(facts={"members": len(reports), "over_budget": late})

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Weighted mean of the members' forecasts, ``(O, N, H)`` in raw units.

        Where a member has none for a series, the others share its weight.

        Raises:
            ModelError: nothing was joined.
        """
        self._check()
        made = np.stack([predict(member, origins) for member in self._members])
        return blending.mixed(made, self._weights[:, None, None, : made.shape[3]])

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights and the members' descriptions; their arrays under ``<number>.<name>``. Raises as ``predict``."""
        from daycast.models import describe

        self._check()
        described, arrays = [], {}
        for i, member in enumerate(self._members):
            description, own = describe(member)
            described.append(description)
            arrays |= {f"{i}.{name}": array for name, array in own.items()}
        return {"weights": self._weights.tolist(), "members": described}, arrays

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        from daycast.models import described

        members = []
        for i, description in enumerate(values["members"]):
            prefix = f"{i}."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            members.append(described(description, own))
        self.join(members, values["weights"])

    def _check(self) -> None:
        if not self._members:
            raise ModelError("joined members", "none", "call join or restore first")
