"""Targets at every step of a window, for networks that learn to forecast from each of them."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from daycast.core.windows import Single, Windows


def targets(windows: Windows, index: NDArray[np.integer]) -> Single:
    """The H timestamps after each of a window's steps, ``(B, L, H, K)``; the last step's are the window's own targets.

    Nothing in them lies after the window's own targets. Measured from a profile (``Windows.anchors``), each step's
    targets are measured from the level known at that step, and missing ones are NaN.

    Args:
        index: numbers of the windows ``(B,)``.
    """
    group, start = windows.runs.at(index)
    steps = start[:, None] + np.arange(windows.lookback)
    if windows.anchors is None:
        after = sliding_window_view(windows.z, windows.horizon, axis=1).swapaxes(-1, -2)
        return np.asarray(after[group[:, None], steps + 1])
    flat = windows.anchors.targets(np.repeat(group, windows.lookback), steps.reshape(-1), windows.horizon)
    return flat.reshape(*steps.shape, *flat.shape[1:])
