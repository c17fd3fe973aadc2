"""What windows look into: one contiguous float32 array per kind, by groups of series. Letters of ``core.windows``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from daycast.core import held
from daycast.core.anchors import Anchors, Newest, Single
from daycast.core.channels import Columns, Layout, channels, scaled
from daycast.core.frame import Float, Panel
from daycast.core.transform import Fitted

Named = Mapping[str, NDArray[Any]]
Fields = TypeVar("Fields", "Arrays", Anchors, Newest)
BY_GROUP = ("inputs", "static", "ahead", "goal", "base", "before", "grid")
"""Arrays whose first axis are the groups; the others tell of timestamps alone."""


class Arrays(NamedTuple):
    """``inputs (G, T, C)``, ``known (T, F)``, ``static (G, S)``, float32; K; anchors; which of F are ``core.held``;
    what the newest of each class tell."""

    inputs: Single
    known: Single
    static: Single
    targets: int
    anchors: Anchors | None = None
    held: tuple[int, ...] = ()
    newest: Newest | None = None

    def named(self) -> Named:
        """All arrays by their names, those of ``anchors`` and ``newest`` among them."""
        told = [{} if one is None else one._asdict() for one in (self.anchors, self.newest)]
        return {"inputs": self.inputs, "known": self.known, "static": self.static, **told[0], **told[1]}

    def by_group(self) -> Named:
        """Those whose first axis are the groups."""
        return {name: array for name, array in self.named().items() if name in BY_GROUP}

    def replaced(self, others: Named) -> Arrays:
        """With others in place of the arrays of these names."""

        def put(of: Fields) -> Fields:
            own: dict[str, Any] = {name: array for name, array in others.items() if name in of._fields}
            return of._replace(**own)

        anchors, newest = self.anchors, self.newest
        return put(self)._replace(
            anchors=None if anchors is None else put(anchors), newest=None if newest is None else put(newest)
        )

    def groups(self, some: slice) -> Arrays:
        """Those of some groups, as views."""
        return self.replaced({name: array[some] for name, array in self.by_group().items()})


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The arrays of all groups, from those of parts of them."""
    if len(parts) == 1:
        return parts[0]
    told = [part.by_group() for part in parts]
    return parts[0].replaced({name: np.concatenate([one[name] for one in told]) for name in told[0]})


def arrays(
    panel: Panel, z: Float, layout: Layout, past: Fitted | None = None, columns: Columns = slice(None)
) -> Arrays:
    """What windows of any length look into.

    Args:
        panel: the history up to the cutoff.
        columns: the known features that are used, of F.
        z: its values after ``transform.forward``, ``(N, T)``.
        past: a transform without memory fitted on ``as_series(panel.past)``; ``None`` leaves past covariates raw.
    """
    static = panel.static if layout == "each" else np.zeros((1, 0))
    return Arrays(
        np.ascontiguousarray(channels(z, scaled(panel.past, past), layout), dtype=np.float32),
        np.ascontiguousarray(panel.known[:, columns], dtype=np.float32),
        static.astype(np.float32),
        1 if layout == "each" else len(panel.ids),
        held=held.among(panel, columns),
    )
