"""What the table of a request has to be, in words that help who sent it: it comes from outside, and is nobody's file.

``core.frame.table`` reads what the pipeline prepared, and tells of faults in its words.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from daycast.core import frame as frames
from daycast.core.frame import KEYS, FrameSpec, Table
from daycast.errors import DataError, ModelError

EARLIEST, LATEST = pd.Timestamp("1800-01-01"), pd.Timestamp("2200-01-01")  # differences of times reach 292 years
TEXT = {"string", "categorical", "empty"}  # kinds that pandas infers of a column of text
SHOWN = 3  # columns that a message names


def table(frame: pd.DataFrame, spec: FrameSpec, example: pd.DataFrame | None = None) -> Table:
    """Read a request's table.

    Args:
        example: one that the model could forecast from, whose times tell the grid.

    Raises:
        DataError: it is not a canonical frame of this dataset.
    """
    shared = {**spec.known, **spec.static}
    missing = [c for c in (*KEYS, "y", *shared, *spec.past) if c not in frame.columns]
    if missing:
        raise DataError(
            f"the columns of the canonical frame, {missing} among them", f"{list(frame.columns)}", "add them"
        )
    if frame.empty:
        raise DataError("rows of the history, and of the future that is known", "none", "add them")
    _check_keys(frame, ["unique_id", *(c for c, levels in shared.items() if levels is not None)])
    _check_observed(frame)
    _check_times(frame["ds"], spec.freq, None if example is None else example["ds"].iloc[0])
    _check_covariates(frame, spec)
    return frames.table(frame, spec)


def blamed(error: ModelError, frame: pd.DataFrame, example: pd.DataFrame) -> DataError:
    """The error of a model that fails at this request and at no other: its values are at fault."""
    numbers = example.select_dtypes("number").columns
    most = {c: (float(frame[c].abs().max()), float(example[c].abs().max())) for c in numbers}
    beyond = sorted((c for c, (here, there) in most.items() if here > there), key=lambda c: most[c][1] - most[c][0])
    reach = "; ".join(f"`{c}` reaches {most[c][0]:g}, of the example {most[c][1]:g}" for c in beyond[:SHOWN])
    return DataError(
        f"values that the model can forecast from: {error.expected}",
        f"{error.found}{reach and f' ({reach})'}",
        "correct the values of the request: the example that the model was registered with, it does forecast",
    )


def _check_keys(frame: pd.DataFrame, text: list[str]) -> None:
    """Raise ``DataError`` on names and times that no canonical frame has, and on a row that is there twice."""
    if not pd.api.types.is_datetime64_dtype(frame["ds"].dtype):
        raise DataError("ds to be times without a time zone", str(frame["ds"].dtype), "give local times, ISO 8601")
    if odd := [c for c in text if pd.api.types.infer_dtype(frame[c], skipna=True) not in TEXT]:
        raise DataError(f"text in {text}", f"other values in {odd}", "give text")
    if void := [c for c in KEYS if frame[c].isna().any()]:
        raise DataError(
            "a series and a timestamp in every row", f"rows without {void}", "fill them in, or drop the rows"
        )
    twice = frame.duplicated(list(KEYS))
    if twice.any():
        raise DataError("one row per series and timestamp", f"two of {_first(frame, twice)}", "drop one")


def _check_observed(frame: pd.DataFrame) -> None:
    """Raise ``DataError`` on an infinite ``y``, and on a series without one."""
    y = frame["y"].to_numpy(dtype=np.float64)
    if np.isinf(y).any():
        raise DataError("y to be finite or missing", "an infinite value", "leave out what was not observed")
    unseen = sorted(set(frame["unique_id"]) - set(frame.loc[np.isfinite(y), "unique_id"]))
    if unseen:
        raise DataError(
            "at least one observed value of y in every series",
            f"none of {len(unseen)} series, {unseen[:5]}",
            "give their history, or leave these series out",
        )


def _check_times(ds: pd.Series, freq: str, grid: pd.Timestamp | None) -> None:
    """Raise ``DataError`` unless the timestamps follow each other on the grid that ``grid`` is on, without a gap."""
    seen = pd.DatetimeIndex(ds.drop_duplicates().sort_values())
    first, last = seen[0], seen[-1]
    if first < EARLIEST or last >= LATEST:
        raise DataError(f"times from {EARLIEST.year} to {LATEST.year}", f"{first} .. {last}", "correct them")
    if grid is not None and not _same_grid(first, grid, freq):
        raise DataError(f"times on the grid of freq {freq} that {grid} is on", f"{first}", "move it")
    step = pd.tseries.frequencies.to_offset(freq)
    wrong = np.flatnonzero(seen[:-1] + step != seen[1:])
    if not len(wrong):
        return
    before, after = seen[wrong[0]], seen[wrong[0] + 1]
    if after < before + step:
        raise DataError(f"times on a grid of freq {freq}", f"{after}, less than a step after {before}", "move it")
    raise DataError(
        f"a row of every timestamp from {first} to {last}, at freq {freq}",
        f"none of {before + step}: {before} is followed by {after}",
        "add it, with y null if nothing was observed, or correct the one of the two that is astray",
    )


def _same_grid(one: pd.Timestamp, other: pd.Timestamp, freq: str) -> bool:
    step = pd.tseries.frequencies.to_offset(freq)
    if isinstance(step, pd.offsets.Tick):  # of minutes, the way between two years is too long to be walked
        return (one.value - other.value) % pd.Timedelta(step).value == 0
    ends = sorted((one, other))
    way = pd.date_range(*ends, freq=freq)
    return len(way) > 0 and [way[0], way[-1]] == ends


def _check_covariates(frame: pd.DataFrame, spec: FrameSpec) -> None:
    """Raise ``DataError`` where a covariate has no value, or one it can't have, or known ones differ between series."""
    per_series = frame.drop_duplicates("unique_id")
    for rows, columns in ((frame, spec.known), (per_series, spec.static)):
        for column, levels in columns.items():
            wrong = ~(np.isfinite(rows[column]) if levels is None else rows[column].isin(levels))
            if wrong.any():
                allowed = "a finite number" if levels is None else f"among {list(levels)}"
                found = f"{rows.loc[wrong, column].iloc[0]} for {_first(rows, wrong)}"
                raise DataError(f"`{column}` to be {allowed} in every row, past and future", found, "correct it")
    known = list(spec.known)
    one = frame.drop_duplicates("ds").set_index("ds")[known].loc[frame["ds"]].reset_index(drop=True)
    differ = (frame[known].reset_index(drop=True) != one).to_numpy()
    if differ.any():
        row, column = np.argwhere(differ)[0]
        at = frame.iloc[row]
        raise DataError(
            f"the same {known[column]} for all series at {at['ds']}",
            f"{one.iat[row, column]} and, for {at['unique_id']}, {at[known[column]]}",
            "known covariates are shared: give each series the same",
        )


def _first(frame: pd.DataFrame, of: pd.Series[bool]) -> str:
    """Series and time of the first of some rows."""
    row = frame.loc[of].iloc[0]
    return f"{row['unique_id']} at {row['ds']}"
