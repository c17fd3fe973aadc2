"""Where the bytes of a data version are now; nothing is fetched, nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daycast.adapters.versioning.places import LOCK, parse, raw_entry, raw_folder
from daycast.adapters.versioning.repository import of_remotes, remote, using
from daycast.adapters.versioning.storage import is_intact, path_of
from daycast.errors import ToolError

HERE, REMOTE = "here", "remote"


@dataclass(frozen=True)
class Found:
    """A file of a data version.

    Attributes:
        path: in the project.
        md5: of its content, as DVC records it.
        where: ``here``, whole in DVC's cache; ``remote``, in the default remote; ``None`` if in neither.
        why: if nowhere, what stood in the way.
    """

    path: str
    md5: str
    where: str | None
    why: str = ""


def files(pointers: Mapping[str, str]) -> dict[str, str]:
    """Path in the project -> md5 of what ``DataVersion.pointers`` point to; the raw files are one folder (``.dir``).

    Raises:
        ToolError: the pointers can't be read.
    """
    stages = parse(pointers.get(LOCK, ""), f"the recorded {LOCK}")["stages"]
    dataset = next(iter(stages), "").partition("@")[2]
    entries = {name.partition("@")[0]: entry for name, entry in stages.items()}
    found = {raw_folder(dataset): str(raw_entry(entries, dataset)["md5"])} if entries else {}
    return found | {str(out["path"]): str(out["md5"]) for entry in entries.values() for out in entry["outs"]}


def whereabouts(root: Path, wanted: Mapping[str, str]) -> list[Found]:
    """Where each of these files is; a folder counts by the files in it.

    Args:
        wanted: path in the project -> md5.

    Raises:
        ToolError: DVC failed; not of a remote that can't be reached, which ``why`` tells.
    """
    return using(root, "look where the data are", lambda repo: list(_found(repo, wanted)))


def _found(repo: Any, wanted: Mapping[str, str]) -> Iterator[Found]:
    for path, md5 in wanted.items():
        where, why = _where(repo, md5)
        if not md5.endswith(".dir") or where is None:
            yield Found(path, md5, where, why)
            continue
        for entry in _listing(repo, md5, where):
            yield Found(f"{path}/{entry['relpath']}", entry["md5"], *_where(repo, entry["md5"]))


def _where(repo: Any, md5: str) -> tuple[str | None, str]:
    from dvc.config import NoRemoteError, RemoteConfigError
    from dvc.exceptions import DvcException

    here = path_of(repo, md5)
    if is_intact(here, md5):
        return HERE, ""
    damaged = "other bytes than these in DVC's cache" if here.is_file() else "not in DVC's cache"
    try:
        odb = repo.cloud.get_remote_odb()
        odb.fs.info(odb.oid_to_path(md5))  # `exists` says no as well where nobody answers
    except FileNotFoundError:
        return None, f"{damaged}, nor in {remote()}"
    except (NoRemoteError, RemoteConfigError) as error:
        return None, f"{damaged}; {str(error).splitlines()[0]}"
    except (DvcException, OSError, *of_remotes()) as error:
        return None, f"{damaged}; {remote()} gave: {error}"
    return REMOTE, ""


def _listing(repo: Any, md5: str, where: str) -> list[dict[str, str]]:
    odb = repo.cache.local if where == HERE else repo.cloud.get_remote_odb()
    with odb.fs.open(odb.oid_to_path(md5), "r") as file:
        told = file.read()
    try:
        return list(json.loads(told))
    except ValueError as error:
        raise ToolError(f"the list of files {md5}", str(error), f"ingest the data again, or mend {remote()}") from error
