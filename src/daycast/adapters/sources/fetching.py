"""Raw bytes, kept exactly as received in ``<into>/received.<format>``.

They go to a temporary folder beside ``into`` first, are checked by what they are (not by their name), flushed to the
disk, and moved into place in one step: at every moment there is the whole old file or the whole new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daycast.adapters.sources.download import Answer, OnBytes, download
from daycast.adapters.sources.formats import advice, check_format
from daycast.config.dataset import Dataset, FileSource, SimulatedSource, UrlSource
from daycast.errors import SourceError


@dataclass(frozen=True)
class Received:
    """What a fetch brought.

    Attributes:
        file: the file now in force.
        changed: whether its bytes differ from those before, or there were none before.
        origin: where they came from, for people.
        size: bytes.
    """

    file: Path
    changed: bool
    origin: str
    size: int


def fetch(
    dataset: Dataset,
    into: Path,
    memory: Path,
    root: Path,
    from_file: Path | None = None,
    on_bytes: OnBytes | None = None,
) -> Received:
    """Bring the dataset's raw bytes to ``into/received.<format>``, the only file of that folder.

    Args:
        into: folder of the raw file; made if it isn't there.
        memory: JSON file of what the server said about the last download (ETag, date), so that an unchanged file is not
            sent again; heeded only while the raw file is still the one that came with it.
        root: folder to which a relative path in the configuration refers.
        from_file: a local copy to take instead of the configured source.
        on_bytes: told the progress of a download.

    Raises:
        SourceError: nothing usable came; the file before stays in force, untouched.
    """
    file = into / f"received.{dataset.read.format}"
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(into)
        with _room(into) as room:
            part = room / file.name
            answer = None
            if from_file is not None:
                origin = _copy(from_file, part, dataset.name)
            elif isinstance(dataset.source, SimulatedSource):
                origin = _simulate(dataset.source, part)
            elif isinstance(dataset.source, FileSource):
                origin = _copy(root / dataset.source.path, part, dataset.name)
            else:
                origin = dataset.source.url
                known = _recall(memory, dataset.source, file)
                answer = download(dataset, dataset.source, part, known, on_bytes)
                if answer is None:
                    return Received(file, False, origin, file.stat().st_size)
            check_format(part, dataset.read.format, origin, advice(dataset.name))
            changed = _put(part, file, memory, answer)
    except OSError as error:
        raise SourceError(
            f"to read and write in {into.parent} and {memory.parent}",
            str(error),
            "make room on the disk, or mend the permissions",
        ) from error
    return Received(file, changed, origin, file.stat().st_size)


def _put(part: Path, file: Path, memory: Path, answer: Answer | None) -> bool:
    """Move ``part`` into place if its bytes are new; whether they are."""
    digest = _digest(part)
    changed = not file.is_file() or _digest(file) != digest
    memory.unlink(missing_ok=True)  # before the move, so that it never speaks of another file
    if changed:
        _flush(part)
        file.parent.mkdir(exist_ok=True)
        os.replace(part, file)
        for other in file.parent.glob("received.*"):
            if other != file:  # of an earlier read.format
                other.unlink()
        _flush(file.parent)
    if answer is not None:
        memory.parent.mkdir(parents=True, exist_ok=True)
        note = memory.with_name(f"{memory.name}.tmp")
        note.write_text(json.dumps({**vars(answer), "sha256": digest}, indent=1), encoding="utf-8")
        os.replace(note, memory)
    return changed


def _simulate(source: SimulatedSource, part: Path) -> str:
    from daycast.core.simulate import ridership

    table = ridership(source.seed, source.start, source.years)
    part.write_bytes(table.to_csv(index=False, lineterminator="\n").encode())
    return f"simulated (seed {source.seed}, {source.years} years from {source.start})"


def _copy(file: Path, part: Path, name: str) -> str:
    try:
        source = file.open("rb")
    except OSError as error:
        raise SourceError(
            "a file that can be read", f"{file}: {error.strerror}", f"put it there, {advice(name)}"
        ) from error
    with source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    return str(file)


def _recall(memory: Path, source: UrlSource, file: Path) -> Answer | None:
    """The server's last answer, if the raw file is still the one that came with it."""
    try:
        note = json.loads(memory.read_text(encoding="utf-8"))
        answer = Answer(note["url"], note["etag"], note["last_modified"])
        digest = note["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # nothing remembered, or nothing readable: ask for the whole file
    return answer if answer.url == source.url and file.is_file() and _digest(file) == digest else None


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Until this returns, a power cut may lose the file or the folder's entry."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_strangers(into: Path) -> None:
    strangers = sorted(p.name for p in into.glob("*") if not p.name.startswith("received."))
    if strangers:
        raise SourceError(
            f"nothing but the received file in {into}, which is versioned as a whole",
            ", ".join(strangers[:5]),
            "move these elsewhere",
        )


@contextmanager
def _room(into: Path) -> Iterator[Path]:
    """A temporary folder on the same filesystem as ``into``, gone afterwards.

    Its lock ends with its process, so what a killed one left behind is known as such, and cleared away here.
    """
    prefix = f".tmp-{into.name}-"
    for left in into.parent.glob(f"{prefix}*"):
        with _locked(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
    room = Path(tempfile.mkdtemp(prefix=prefix, dir=into.parent))
    with _locked(room):
        try:
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock if it is free; whether it was."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
