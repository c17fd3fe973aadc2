"""ingest: the world -> a raw file under version control."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from daycast.adapters import sources, versioning
from daycast.adapters.versioning import Raw
from daycast.config import Dataset, dataset_only
from daycast.core import content
from daycast.errors import DataError
from daycast.settings import Settings


def ingest(
    settings: Settings,
    dataset: str,
    from_file: Path | None = None,
    fetch: bool = True,
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> Raw:
    """Fetch the dataset's bytes, exactly as they are, track them with DVC, and push them to the default remote.

    The same bytes leave the pointer as it is. Killed at any moment, the same call finishes the work.

    Args:
        from_file: a local copy to take instead of the configured source.
        fetch: if false, the bytes in force are taken; the source is asked only where there are none, or where the
            dataset's ``source`` is no longer the one they were taken for.
        on_bytes: told the progress of a download: bytes so far, and all of them if known.

    Raises:
        ConfigError: no such dataset.
        SourceError: the source can't be read; the file before stays in force.
        ToolError: DVC failed.
    """
    root = settings.root
    folder = root / "data" / "raw" / dataset
    pointer = folder.with_name(f"{dataset}.dvc")
    section = dataset_only(root, dataset)
    source = _source(section)
    note = settings.state / "ingest" / f"{dataset}.source"
    if not fetch and from_file is None and _is_of(note, source, section):
        try:
            md5 = versioning.settle(root, dataset)
            return Raw(dataset, md5, folder / f"received.{section.read.format}", changed=False)
        except DataError:
            pass  # nothing here yet
    before = pointer.read_text() if pointer.is_file() else None
    received = sources.fetch(
        section,
        into=folder,
        memory=settings.state / "ingest" / f"{dataset}.json",
        root=root,
        from_file=from_file,
        on_bytes=on_bytes,
    )
    md5 = versioning.add(root, folder)
    versioning.push(root, dataset)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(source)
    return Raw(dataset, md5, received.file, changed=pointer.read_text() != before)


def _source(section: Dataset) -> str:
    """Key of where the bytes come from; of simulated ones, also of the code that makes them."""
    made = content.code("core/simulate.py") if section.simulated else ""
    return content.key(section.source, section.read.format, made)


def _is_of(note: Path, source: str, section: Dataset) -> bool:
    """Whether the bytes in force were taken for this source; a new clone believes it of all but simulated ones."""
    return note.read_text() == source if note.is_file() else not section.simulated
