"""Bytes in and out of DVC's cache and its default remote."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daycast.adapters.versioning.places import (
    LOCK,
    parse,
    pointer_file,
    pointers,
    raw_entry,
    raw_folder,
    read_lock,
    recorded,
)
from daycast.adapters.versioning.repository import of_remotes, remote, using
from daycast.errors import DataError, ToolError
from daycast.settings import DATA_REMOTE


def add(root: Path, folder: Path) -> str:
    """Track the raw ``folder`` by its pointer ``<folder>.dvc``; its version. The same bytes leave the pointer as it is.

    Raises:
        ToolError: DVC failed.
    """
    (stage,) = using(root, f"track {folder}", lambda repo: repo.add(str(folder)))
    return str(stage.outs[0].hash_info.value)


def settle(root: Path, dataset: str) -> str:
    """Make the raw folder and its pointer agree, whatever a killed process left; the version.

    What lies in the folder counts: it is tracked. An absent folder is brought back as the pointer says.

    Raises:
        DataError: there is neither, or the bytes are nowhere.
    """
    folder, pointer = root / raw_folder(dataset), root / pointer_file(dataset)
    if folder.is_dir() and any(folder.iterdir()):
        return add(root, folder)
    fix = f"run `daycast ingest dataset={dataset}`"
    if not pointer.is_file():
        raise DataError(f"raw data of {dataset} in {raw_folder(dataset)}/", "none", fix)
    try:
        return using(root, f"bring {raw_folder(dataset)} back", lambda repo: _bring_back(repo, pointer))
    except ToolError as error:
        raise DataError(f"the raw data that {pointer_file(dataset)} points to", error.found, fix) from error


def push(root: Path, dataset: str) -> None:
    """Copy the dataset's files that the default remote lacks to it.

    Raises:
        ToolError: there is no remote, or it can't be reached.
    """
    stages = [f"{root / 'dvc.yaml'}:{stage}@{dataset}" for stage in recorded(root, dataset)]
    pointer = root / pointer_file(dataset)
    targets = [*([str(pointer)] if pointer.is_file() else []), *stages]
    if targets:
        using(root, f"push {dataset} to {remote()}", lambda repo: repo.push(targets))


def materialise(root: Path, md5: str) -> Path:
    """The file with this content, in DVC's cache: to be read, never written. Pulled from the default remote if need be.

    Raises:
        ToolError: it is nowhere.
    """
    usual = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    if is_intact(usual, md5):
        return usual  # without DVC's lock, so that models that are fitted at the same time don't wait for each other

    def find(repo: Any) -> Path:
        _gather(repo, [md5])
        return path_of(repo, md5)

    return using(root, f"find the content {md5}", find)


def restore(root: Path, wanted: Mapping[str, str]) -> str:
    """Bring back exactly the files that ``DataVersion.pointers`` point to, and these pointers; the dataset's name.

    All bytes are gathered and checked before anything is changed.

    Raises:
        ToolError: some bytes are nowhere, or the pointers are not those of one dataset.
    """
    stages = parse(wanted.get(LOCK, ""), f"the recorded {LOCK}")["stages"]
    dataset = next(iter(stages), "").partition("@")[2]
    pointer = pointer_file(dataset)
    if pointer not in wanted:
        raise ToolError(
            f"pointers to the files of one dataset: {LOCK} and {pointer}", str(sorted(wanted)), "see the run"
        )
    entries = {name.partition("@")[0]: entry for name, entry in stages.items()}
    outs = [out for entry in entries.values() for out in entry["outs"]]
    raw = raw_entry(entries, dataset)
    listing = using(
        root,
        f"gather the files of {dataset}",
        lambda repo: _gather(repo, [raw["md5"], *(out["md5"] for out in outs)]),
    )
    _write(root / pointer, wanted[pointer])
    _merge(root, stages)
    targets = [str(root / pointer), *(f"{root / 'dvc.yaml'}:{name}" for name in stages)]
    using(root, f"put the files of {dataset} in place", lambda repo: repo.checkout(targets, force=True))
    files = {out["path"]: out["md5"] for out in outs}
    files |= {f"{raw_folder(dataset)}/{name}": md5 for name, md5 in listing.items()}
    wrong = [path for path, md5 in files.items() if not is_intact(root / path, md5)]
    if wrong:
        raise ToolError(f"the files of {dataset} as recorded", f"other bytes in {', '.join(wrong)}", "restore again")
    return dataset


def revert(root: Path, dataset: str) -> str | None:
    """Put the last version that passed validation back in force, wholly; its raw version, or ``None`` if there is none.

    If there is none, every file of the dataset goes, so that nothing half-good stays. If the bytes of the last one
    are nowhere, its pointers stay and its raw folder goes.

    Raises:
        ToolError: DVC failed.
    """
    entries = recorded(root, dataset)
    if not entries:
        (root / pointer_file(dataset)).unlink(missing_ok=True)
        shutil.rmtree(root / raw_folder(dataset), ignore_errors=True)
        for made in (f"data/validated/{dataset}.json", f"data/prepared/{dataset}.parquet"):
            (root / made).unlink(missing_ok=True)
        return None
    good = pointers(entries, dataset)
    try:
        restore(root, good)
    except ToolError:
        _write(root / pointer_file(dataset), good[pointer_file(dataset)])
        shutil.rmtree(root / raw_folder(dataset), ignore_errors=True)
    return str(raw_entry(entries, dataset)["md5"])


def _bring_back(repo: Any, pointer: Path) -> str:
    (stage,) = repo.stage.collect(str(pointer))
    version = str(stage.outs[0].hash_info.value)
    _gather(repo, [version])
    repo.checkout([str(pointer)], force=True)
    return version


def _gather(repo: Any, versions: Iterable[str]) -> dict[str, str]:
    """Have intact content for ``versions`` in the cache; file name -> md5 of the folders (``.dir``) among them."""
    listing: dict[str, str] = {}
    for version in versions:
        _fetch(repo, version)
        if version.endswith(".dir"):
            files = {entry["relpath"]: entry["md5"] for entry in json.loads(path_of(repo, version).read_text())}
            for md5 in files.values():
                _fetch(repo, md5)
            listing |= files
    return listing


def _fetch(repo: Any, version: str) -> None:
    from dvc.config import NoRemoteError, RemoteConfigError
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo

    path = path_of(repo, version)
    if is_intact(path, version):
        return
    path.unlink(missing_ok=True)  # DVC takes a read-only file of the cache for intact, whatever it holds
    why = f"not in {remote()} either"
    try:
        repo.cloud.pull([HashInfo("md5", version)])
    except (NoRemoteError, RemoteConfigError) as error:
        why = str(error).splitlines()[0]
    except (DvcException, OSError, *of_remotes()) as error:
        why = f"{remote()} gave: {error}"
    if not is_intact(path, version):
        path.unlink(missing_ok=True)
        raise ToolError(
            f"the content {version} in DVC's cache",
            f"none that is whole, and {why}",
            f"bring the remote that holds it within reach (`dvc remote list`, {DATA_REMOTE}), or ingest and prepare "
            "the data again",
        )


def path_of(repo: Any, version: str) -> Path:
    """The content's place in DVC's cache, there or not."""
    return Path(repo.cache.local.oid_to_path(version))


def is_intact(path: Path, version: str) -> bool:
    """Whether the file is there and its md5 is that of ``version``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == version.removesuffix(".dir")


def _merge(root: Path, stages: Mapping[str, Any]) -> None:
    """Put ``stages`` into ``dvc.lock``, leaving the others."""
    from dvc.utils.serialize import dumps_yaml

    lock = read_lock(root)
    merged = dict(lock["stages"]) | dict(stages)
    if merged != lock["stages"]:
        _write(root / LOCK, dumps_yaml(lock | {"stages": merged}))


def _write(file: Path, text: str) -> None:
    """Replace the file in one step."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(text)
    os.replace(part, file)
