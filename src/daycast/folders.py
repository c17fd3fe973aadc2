"""Folders that are whole or not there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4


def kept(folder: Path, make: Callable[[Path], object]) -> None:
    """Fill a folder whose name tells its content, whole or not at all; of two processes at once either may be first."""
    if folder.exists():
        return
    unfinished = folder.with_name(f".{folder.name}-{uuid4().hex}")
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
        if not folder.exists():
            unfinished.rename(folder)
    except OSError:
        if not folder.exists():  # else another process put it there between the two lines above
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
