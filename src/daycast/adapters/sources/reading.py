"""The reader of raw files."""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd

from daycast.config.dataset import Read
from daycast.errors import SourceError


def rows(file: Path, read: Read) -> pd.DataFrame:
    """The raw rows as the file has them: its order, text as text, whole numbers as integers, nothing dropped.

    Timestamps and series names of CSV files stay text; a named pandas index of a Parquet file comes as columns. Row
    ``i`` of a CSV file is its line ``i + 2`` (a blank line is a row without values), unless quoted fields span lines.

    Raises:
        SourceError: the file is not what ``read.format`` says, or damaged.
    """
    try:
        if read.format == "parquet":
            frame = pd.read_parquet(file)
            # What pandas wrote as an index: columns where it has names, else a numbering that means nothing.
            return frame.reset_index(drop=list(frame.index.names) == [None])
        frame = pd.read_csv(
            file,
            dtype={name: str for name in (read.time, read.id) if name is not None},
            compression="gzip" if read.format == "csv.gz" else None,
            encoding="utf-8-sig",  # a byte order mark is no part of the first column's name
            keep_default_na=False,  # only an empty field is missing; the text NA is a value
            na_values=[""],
            skip_blank_lines=False,
            low_memory=False,  # one type per column, however long
        )
    except (OSError, ValueError, EOFError, zlib.error) as error:  # faults of parsing and decoding are ValueErrors
        raise SourceError(
            f"a readable {read.format} file", f"{file}: {error}", "get the file again with `daycast ingest`"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise SourceError(
            f"as many names in line 1 of {file} as fields in the rows",
            f"{len(frame.columns)} names for {len(frame.columns) + frame.index.nlevels} fields",
            "mend the header of the file at its source",
        )
    return frame
