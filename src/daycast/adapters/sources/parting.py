"""A raw file of more rows than memory shall hold: its rows are sorted into parts on disk, some series in each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from daycast.adapters.sources.reading import Chunks, chunks, rows
from daycast.config.dataset import Read
from daycast.core.raw import POSITION, Raw, Whole

ROWS = 2**20
"""Rows at once, some hundred MB with all that is measured of them."""

MOST = 200  # files that are open at once; of more rows than so many parts have, parts are larger


@dataclass(frozen=True)
class Parted:
    """Rows in files, one for each part."""

    columns: Sequence[str]
    files: Sequence[Path]

    @property
    def parts(self) -> int:
        return len(self.files)

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        import pyarrow
        from pyarrow import ipc

        for file in self.files:
            with pyarrow.memory_map(str(file)) as source, ipc.open_stream(source) as stream:
                table = stream.read_all()
            frame = table.select([*(self.columns if columns is None else columns), POSITION]).to_pandas()
            yield frame.set_index(POSITION)


@contextmanager
def parts(file: Path, read: Read, room: Path, at_once: int = ROWS) -> Iterator[Raw]:
    """The rows of a raw file; of a panel with more than ``at_once`` rows in parts.

    Wide files (a column for each series) and those of one series are read whole.

    Args:
        room: a folder for the parts, made anew and gone with the block.

    Raises:
        SourceError: the file is not what ``read.format`` says, or damaged.
    """
    shutil.rmtree(room, ignore_errors=True)  # of a process that was killed
    found = chunks(file, read, at_once) if read.id is not None else None
    if found is None or found.rows <= at_once or read.id not in found.columns:
        yield Whole(rows(file, read))
        return
    room.mkdir(parents=True)
    try:
        yield _sorted(found, read.id, room, max(at_once, -(-found.rows // MOST)))
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _sorted(found: Chunks, name: str, room: Path, at_once: int) -> Parted:
    """Write each row to the file of its part."""
    import pyarrow
    from pyarrow import ipc

    sizes = _sizes(found, name)
    part_of = (sizes.cumsum() - sizes) // at_once  # by series, in their order
    files = [room / f"{part}.arrow" for part in part_of.unique()]
    number = pd.Series(pd.factorize(part_of)[0], index=part_of.index)
    with ExitStack() as stack:
        options = ipc.IpcWriteOptions(compression="lz4")
        schema = found.schema.append(pyarrow.field(POSITION, pyarrow.int64()))
        sinks = [stack.enter_context(ipc.new_stream(str(file), schema, options=options)) for file in files]
        position = 0
        for table in found.tables():
            codes, series = pd.factorize(_text(table[name].to_pandas()))
            target = number.reindex(series).to_numpy()[codes]
            where = np.arange(position, position + len(table))
            whole = table.append_column(POSITION, pyarrow.array(where)).cast(schema)
            for part in np.unique(target):
                sinks[part].write_table(whole.take(np.flatnonzero(target == part)))
            position += len(table)
    return Parted(found.columns, files)


def _sizes(found: Chunks, name: str) -> pd.Series:
    """Rows of each series, by its name as text, sorted."""
    total = pd.Series(dtype=np.int64)
    for table in found.tables([name]):
        counts = _text(table[name].to_pandas()).value_counts()
        total = total.add(counts, fill_value=0)
    return total.astype(np.int64).sort_index()


def _text(names: pd.Series) -> pd.Series:
    """Series names as text; rows without one are taken together, for validation to find."""
    return names.map(str, na_action="ignore").astype(object).where(names.notna(), "")
