"""Results of steps on a store that several machines reach, by fsspec: a folder on a mounted disk, S3, ...

A result is one archive, put in place when it is whole. Its name tells its content, so it never changes.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daycast.errors import ToolError
from daycast.folders import kept


def holds(url: str, step: str, key: str) -> bool:
    """Whether the store has a step's result."""
    with _store(url) as (files, root):
        return bool(files.exists(_archive(root, step, key)))


def send(url: str, step: str, key: str, folder: Path) -> None:
    """Put a step's result there, whole or not at all; nothing where it is already.

    Raises:
        ToolError: the store can't be written to.
    """
    with _store(url) as (files, root):
        target = _archive(root, step, key)
        if files.exists(target):
            return
        files.makedirs(target.rpartition("/")[0], exist_ok=True)
        try:
            # Inside it a local file has another name until it is whole; object stores know nothing else.
            with files.transaction, files.open(target, "wb") as out, tarfile.open(fileobj=out, mode="w|") as archive:
                archive.add(folder, arcname=".")
        except OSError:
            # Of several who send the same at once, rclone's server refuses some now and then.
            files.invalidate_cache()
            if not files.exists(target):
                raise


def fetch(url: str, step: str, key: str, folder: Path) -> bool:
    """Bring a step's result to ``folder``, whole or not at all; whether it is there now.

    Raises:
        ToolError: the store can't be read.
    """
    if folder.exists():
        return True
    with _store(url) as (files, root):
        source = _archive(root, step, key)
        if not files.exists(source):
            return False

        def extracted(into: Path) -> None:
            with files.open(source, "rb") as read, tarfile.open(fileobj=read, mode="r|") as archive:
                archive.extractall(into, filter="data")

        kept(folder, extracted)
    return True


def _archive(root: str, step: str, key: str) -> str:
    return f"{root.rstrip('/')}/{step}/{key}.tar"


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """The file system behind the URL, and the path on it."""
    import fsspec

    try:
        # An object of its own: a transaction is the object's, and threads would share one.
        yield fsspec.core.url_to_fs(url, skip_instance_cache=True)
    except (OSError, ImportError, ValueError, tarfile.TarError) as error:
        raise ToolError(
            "a store of results at DAYCAST_CACHE_URL that can be read and written",
            f"{type(error).__name__}: {' '.join(str(error).split())}",
            "set it to a folder that all machines share (file:///mnt/shared) or to an object store (s3://bucket/cache, "
            "which needs s3fs), or unset it where all work is done on one machine",
        ) from error
