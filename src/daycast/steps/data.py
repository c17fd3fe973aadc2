"""Load a data version into the arrays that the core computes with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from daycast.adapters import versioning
from daycast.config import Config
from daycast.core import streaming, until
from daycast.core.frame import KEYS, FrameSpec, Table
from daycast.errors import DataError
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.mapped import Files, array
from daycast.steps.reference import DataRef

NAMES = "names.json"  # of a table's series and features, and its grid
SERIES = ("y", "past", "static")
BATCH = 2**16  # rows read at once: more are no faster


def in_force(settings: Settings, dataset: str) -> DataRef:
    """The prepared version that the workspace holds. Raises ``DataError`` if there is none."""
    made = versioning.version(settings.root, dataset)
    return DataRef(dataset=made.dataset, version=made.version, pointers=dict(made.pointers))


def age(config: Config, data: DataRef, newest: pd.Timestamp) -> int:
    """Whole days from the newest observation to the day that is looked at: today, where the data are from."""
    return ((data.day or config.dataset.today()) - newest.date()).days


def frame(
    settings: Settings, data: DataRef, since: pd.Timestamp | None = None, ids: Sequence[str] | None = None
) -> pd.DataFrame:
    """The canonical frame of a version, from DVC's cache or its remote, whatever the workspace holds now.

    Args:
        since: rows from there on alone, as a large panel's frame is larger than memory.
        ids: rows of these series alone.
    """
    asked = [("ds", ">=", since)] if since is not None else []
    asked += [("unique_id", "in", list(ids))] if ids is not None else []
    return pd.read_parquet(versioning.materialise(settings.root, data.version), filters=asked or None)


def seen(
    settings: Settings,
    data: DataRef,
    spec: FrameSpec,
    since: pd.Timestamp | None = None,
    ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The same as far as it may be seen. Raises ``HistoryError`` if nothing had been observed by then."""
    whole = frame(settings, data, since, ids)
    return whole if data.as_of is None else until.until(whole, spec, pd.Timestamp(data.as_of))


def table(settings: Settings, config: Config, data: DataRef) -> Table:
    """The canonical arrays of a version as far as they may be seen, by the configured meaning of its columns."""
    return arrays(settings, config.dataset.spec(), data)


def arrays(settings: Settings, spec: FrameSpec, data: DataRef) -> Table:
    """The canonical arrays of a version as far as they may be seen, memory-mapped; made where this machine has none.

    Raises:
        DataError: the version has other columns.
        HistoryError: nothing had been observed by then.
    """
    folder = settings.cache("table", keys.table(spec, data))
    kept(folder, lambda into: _write(versioning.materialise(settings.root, data.version), spec, into))
    told = json.loads((folder / NAMES).read_text())
    grid = pd.date_range(told["first"], periods=told["timestamps"], freq=spec.freq)
    outline = streaming.Outline(grid, told["end"], np.asarray(array(folder, "known")), tuple(told["known"]))
    ids, static = tuple(told["series"]), tuple(told["static"])
    series = streaming.Block(ids, *(np.asarray(array(folder, name)) for name in SERIES), static)
    whole = streaming.table(spec, outline, series)
    return whole if data.as_of is None else until.table(whole, pd.Timestamp(data.as_of))


def _write(file: Path, spec: FrameSpec, into: Path) -> None:
    """Write the arrays of a frame, which is read some series at a time."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file, memory_map=True) as parquet:
        needed = [*KEYS, "y", *spec.known, *spec.past, *spec.static]
        if missing := [column for column in needed if column not in parquet.schema_arrow.names]:
            raise DataError(f"columns {needed}", f"no {missing}", "run `daycast prepare` again for this dataset")

        def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
            for group in range(parquet.num_row_groups):  # asked for all, Arrow keeps those that it has been through
                for rows in parquet.iter_batches(BATCH, [group], list(columns)):
                    yield rows.to_pandas()

        of = streaming.outline(read, spec)
        ids: list[str] = []
        with Files(into) as files:
            for block in streaming.blocks(read, spec, of):
                ids += block.ids
                for name in SERIES:
                    files.append(name, getattr(block, name))
            files.whole("known", of.known)
    names = {"series": ids, "known": of.known_names, "static": block.static_names}
    told = {"first": of.grid[0].isoformat(), "timestamps": len(of.grid), "end": of.end}
    (into / NAMES).write_text(json.dumps(told | names))
