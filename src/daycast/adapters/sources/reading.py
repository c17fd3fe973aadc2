"""The reader of raw files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from daycast.config.dataset import Read
from daycast.errors import SourceError

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile


def rows(file: Path, read: Read) -> pd.DataFrame:
    """The raw rows as the file has them: its order, text as text, whole numbers as integers, nothing dropped.

    Timestamps and series names of CSV files stay text; a named pandas index of a Parquet file comes as columns. Row
    ``i`` of a CSV file is its line ``i + 2`` (a blank line is a row without values), unless quoted fields span lines.

    Raises:
        SourceError: the file is not what ``read.format`` says, or damaged.
    """
    with _readable(file, read):
        if read.format == "parquet":
            frame = pd.read_parquet(file)
            # What pandas wrote as an index: columns where it has names, else a numbering that means nothing.
            return frame.reset_index(drop=list(frame.index.names) == [None])
        return _checked(pd.read_csv(file, **_options(read)), file)


class Chunks(Protocol):
    """The same rows some after the others, in tables whose columns have the types that they have in the whole file.

    Attributes:
        rows: how many there are.

    Raises:
        SourceError: as ``rows``; from ``tables`` too.
    """

    rows: int

    @property
    def schema(self) -> pyarrow.Schema:
        """Of the columns of the file."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the file."""
        return list(self.schema.names)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
        """Tables of these columns, or of all, from the first row on."""


def chunks(file: Path, read: Read, at_once: int) -> Chunks:
    """A raw file by so many rows at once."""
    return ParquetChunks(file, read, at_once) if read.format == "parquet" else CsvChunks(file, read, at_once)


class ParquetChunks(Chunks):
    """Of a Parquet file. Whole numbers are fractional ones in a column that lacks some, as pandas has them."""

    def __init__(self, file: Path, read: Read, at_once: int) -> None:
        from pyarrow.parquet import ParquetFile

        self._file, self._read, self._at_once = file, read, at_once
        with _readable(file, read), ParquetFile(file) as opened:
            self.rows = opened.metadata.num_rows

    @cached_property
    def schema(self) -> pyarrow.Schema:
        from pyarrow.parquet import ParquetFile

        with _readable(self._file, self._read), ParquetFile(self._file) as opened:
            return _as_pandas_has_it(opened)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
        import pyarrow
        from pyarrow.parquet import ParquetFile

        names = self.columns if columns is None else list(columns)
        schema = pyarrow.schema([self.schema.field(name) for name in names])
        with _readable(self._file, self._read), ParquetFile(self._file, memory_map=True) as opened:
            for group in range(opened.num_row_groups):  # asked for all, Arrow keeps those that it has been through
                for part in opened.iter_batches(self._at_once, [group], names):
                    table = pyarrow.Table.from_batches([part]).select(names)
                    yield table.replace_schema_metadata(None).cast(schema)


class CsvChunks(Chunks):
    """Of a CSV file, which is read once more, from start to end, to know the types of its columns."""

    def __init__(self, file: Path, read: Read, at_once: int) -> None:
        self._file, self._read, self._at_once = file, read, at_once
        self.rows, self._types = 0, dict[str, Any]()
        for chunk in self._chunks(_options(read)):
            self.rows += len(chunk)
            kinds = {str(name): _kind(kind) for name, kind in chunk.dtypes.items()}
            self._types = {n: k if self._types.get(n, k) == k else _either(k, self._types[n]) for n, k in kinds.items()}

    @cached_property
    def schema(self) -> pyarrow.Schema:
        import pyarrow

        arrow = {"int64": pyarrow.int64(), "float64": pyarrow.float64(), "bool": pyarrow.bool_()}
        return pyarrow.schema([(n, arrow.get(k, pyarrow.string())) for n, k in self._types.items()])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
        import pyarrow

        names = self.columns if columns is None else list(columns)
        schema = pyarrow.schema([self.schema.field(name) for name in names])
        types = {name: str if kind == "text" else kind for name, kind in self._types.items()}
        for chunk in self._chunks(_options(self._read) | {"usecols": names, "dtype": types}):
            yield pyarrow.Table.from_pandas(chunk[names], schema=schema, preserve_index=False)

    def _chunks(self, options: dict[str, Any]) -> Iterator[pd.DataFrame]:
        with _readable(self._file, self._read), pd.read_csv(self._file, chunksize=self._at_once, **options) as reader:
            for chunk in reader:
                yield _checked(chunk, self._file)


def _options(read: Read) -> dict[str, Any]:
    """How a CSV file is read."""
    return {
        "dtype": {name: str for name in (read.time, read.id) if name is not None},
        "compression": "gzip" if read.format == "csv.gz" else None,
        "encoding": "utf-8-sig",  # a byte order mark is no part of the first column's name
        "keep_default_na": False,  # only an empty field is missing; the text NA is a value
        "na_values": [""],
        "skip_blank_lines": False,
        "low_memory": False,  # one type per column, however long
    }


@contextmanager
def _readable(file: Path, read: Read) -> Iterator[None]:
    """Raise what goes wrong inside the block as a fault of the file."""
    try:
        yield
    except (OSError, ValueError, EOFError, zlib.error) as error:  # faults of parsing and decoding are ValueErrors
        raise SourceError(
            f"a readable {read.format} file", f"{file}: {error}", "get the file again with `daycast ingest`"
        ) from error


def _checked(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    if not isinstance(frame.index, pd.RangeIndex):
        raise SourceError(
            f"as many names in line 1 of {file} as fields in the rows",
            f"{len(frame.columns)} names for {len(frame.columns) + frame.index.nlevels} fields",
            "mend the header of the file at its source",
        )
    return frame


def _kind(dtype: Any) -> str:
    """``int64``, ``float64``, ``bool``, or ``text``."""
    return str(dtype) if str(dtype) in ("int64", "float64", "bool") else "text"


def _either(one: str, other: str) -> str:
    """What pandas takes a column for that looks like the one here and like the other there."""
    return "float64" if {one, other} == {"int64", "float64"} else "text"


def _as_pandas_has_it(opened: ParquetFile) -> pyarrow.Schema:
    """The schema of what ``rows`` gives of the file."""
    import pyarrow

    fields = []
    for field in opened.schema_arrow:
        if field.name.startswith("__index_level_"):
            continue  # an index without a name
        kind = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
        if pyarrow.types.is_integer(kind) and _lacks(opened, field.name):
            kind = pyarrow.float64()
        fields.append(pyarrow.field(field.name, kind))
    return pyarrow.schema(fields)


def _lacks(opened: ParquetFile, column: str) -> bool:
    """Whether a value of the column is missing."""
    parts = opened.iter_batches(columns=[column])
    return any(part.column(0).null_count for part in parts)
