"""Tell what a file is by its bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from daycast.errors import SourceError

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"  # RFC 1952; the first and the last bytes of a Parquet file
BLOCK = 2**20


def advice(name: str) -> str:
    """What a user can always do."""
    return f"or give a local copy: daycast ingest dataset={name} --from FILE"


def check_format(part: Path, expected: str, origin: str, otherwise: str) -> None:
    """Tell by the first and last bytes whether this is what ``read.format`` says."""
    size = part.stat().st_size
    with part.open("rb") as file:
        head = file.read(4096)
        file.seek(max(size - 4, 0))
        tail = file.read()
    if size == 0:
        found = "an empty file"
    elif head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        found = "a page (HTML or XML), such as an error or a login page"
    elif head.startswith(PARQUET):
        found = "parquet" if tail == PARQUET and size > 12 else "a truncated Parquet file"
    elif head.startswith(GZIP):
        found = "csv.gz" if _whole_gzip(part) else "a truncated or damaged gzip file"
    else:
        found = "some binary format" if b"\0" in head else "csv"
    if found != expected:
        raise SourceError(
            f"a {expected} file (dataset.read.format)",
            f"{found}, {size:,} bytes, from {origin}",
            f"check the source, or set read.format in conf/dataset/ to what it sends; {otherwise}",
        )


def _whole_gzip(file: Path) -> bool:
    try:
        with gzip.open(file, "rb") as packed:
            while packed.read(BLOCK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True
