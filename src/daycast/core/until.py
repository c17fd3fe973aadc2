"""Data as they stood on an earlier day: what had been observed by then, and no series that began later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from daycast.core import parts
from daycast.core.frame import FrameSpec, Future, Table
from daycast.errors import HistoryError


def until(frame: pd.DataFrame, spec: FrameSpec, as_of: pd.Timestamp) -> pd.DataFrame:
    """The rows of ``frame`` with nothing observed after the day ``as_of``; what is known ahead stays, as it was then.

    Held columns need no change: whoever reads them takes the value at the last observation (``core.held``).

    Raises:
        HistoryError: nothing had been observed by then.
    """
    seen = frame["ds"].dt.normalize() <= as_of
    told = frame.assign(**{column: frame[column].where(seen) for column in ("y", *spec.past)})
    begun = told.loc[told["y"].notna(), "unique_id"].unique()
    if not len(begun):
        raise _too_early(as_of, frame.loc[frame["y"].notna(), "ds"].min())
    return told[told["unique_id"].isin(begun)].reset_index(drop=True)


def table(whole: Table, as_of: pd.Timestamp) -> Table:
    """The same of a table: views of it, but for the series that had begun where not all had.

    Raises:
        HistoryError: nothing had been observed by then.
    """
    most = int((whole.panel.ds.normalize() <= as_of).sum())
    if not most:
        raise _too_early(as_of, whole.panel.ds[0])
    return upto(whole, whole.panel.ds[most - 1])


def upto(whole: Table, cutoff: pd.Timestamp) -> Table:
    """The same at a timestamp, inclusive, wherever in its day it lies.

    Raises:
        HistoryError: nothing had been observed by then.
    """
    panel, ahead = whole.panel, whole.beyond
    most = int((panel.ds <= cutoff).sum())
    if not most:
        raise _too_early(cutoff, panel.ds[0])
    newest = np.zeros(len(panel.ids), dtype=np.int64)  # timestamps up to the newest observation of each series
    for some in parts.rows(len(panel.ids)):
        observed = np.isfinite(panel.y[some, :most])
        newest[some] = np.where(observed.any(axis=1), most - observed[:, ::-1].argmax(axis=1), 0)
    end = int(newest.max(initial=0))
    if not end:
        raise _too_early(cutoff, panel.ds[0])
    seen = panel.until(panel.ds[end - 1])
    if not newest.all():
        seen = seen.only(tuple(name for name, steps in zip(panel.ids, newest, strict=True) if steps))
        for array in (seen.y, seen.past, seen.static):
            array.flags.writeable = False
    ds = pd.DatetimeIndex(panel.ds.append(ahead.ds), freq=panel.spec.freq)
    known = np.concatenate([panel.known, ahead.known])
    known.flags.writeable = False
    return Table(replace(seen, known=known[:end]), Future(ds[end:], known[end:], ahead.known_names))


def _too_early(as_of: pd.Timestamp, first: pd.Timestamp) -> HistoryError:
    return HistoryError(
        f"an observation by {as_of.date()}",
        f"the data start on {first.date()}",
        "choose a later --as-of, or bring older data",
    )
