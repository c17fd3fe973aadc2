"""A weighted mean of fitted forecasters of any families, as one forecaster. Letters of ``core.frame``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daycast.core.forecast import Arrays, FitReport, Forecaster, OnEpoch, Origin, predict
from daycast.core.frame import Float, Panel
from daycast.errors import ModelError

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext


class Blend:
    """Members are fitted apart and handed in by ``join``: they are models of their own, in the same table."""

    recurrent = False

    def __init__(self, config: config.Blend, context: BuildContext) -> None:  # noqa: ARG002
        """Its horizon is the context's: a member of a shorter one is iterated."""
        self.horizon, self.min_history = context.horizon, 1
        self._members: list[Forecaster] = []
        self._weights: list[float] = []

    def join(self, members: Sequence[Forecaster], weights: Sequence[float]) -> FitReport:
        """Take fitted members from ``models.build`` and their weights, which sum to 1; one of weight 0 is left out."""
        kept = [(member, float(weight)) for member, weight in zip(members, weights, strict=True) if weight > 0]
        self._members, self._weights = [m for m, _ in kept], [w for _, w in kept]
        self.min_history = max(member.min_history for member in self._members)
        return FitReport(facts={"members": len(kept)})

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Refused: what a blend is made of is fitted apart.

        Raises:
            ModelError: always.
        """
        raise ModelError("fitted members", "a history to fit on", "fit the members and hand them to `join`")

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Weighted mean of the members' forecasts, ``(O, N, H)`` in raw units.

        Where a member has none for a series, the others share its weight.

        Raises:
            ModelError: nothing was joined.
        """
        if not self._members:
            raise ModelError("joined members", "none", "call join or restore first")
        made = np.stack([predict(member, origins) for member in self._members])
        weights = np.where(np.isfinite(made), np.asarray(self._weights)[:, None, None, None], 0.0)
        total = weights.sum(axis=0)
        mixed = (np.nan_to_num(made) * weights).sum(axis=0) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, mixed, np.nan)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights and the members' descriptions; their arrays under ``<number>.<name>``. Raises as ``predict``."""
        from daycast.models import describe

        if not self._members:
            raise ModelError("joined members", "none", "call join or restore first")
        described, arrays = [], {}
        for i, member in enumerate(self._members):
            description, own = describe(member)
            described.append(description)
            arrays |= {f"{i}.{name}": array for name, array in own.items()}
        return {"weights": self._weights, "members": described}, arrays

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        from daycast.models import described

        members = []
        for i, description in enumerate(values["members"]):
            prefix = f"{i}."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            members.append(described(description, own))
        self.join(members, values["weights"])
