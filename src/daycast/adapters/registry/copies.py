"""A version's files kept on this machine, for the days on which MLflow does not answer."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from daycast.adapters.registry.package import read
from daycast.adapters.registry.versions import Loaded, Version
from daycast.folders import kept

VERSION, FILES = "version.json", "model"


def keep(loaded: Loaded, folder: Path) -> None:
    """Keep a copy of a version in ``folder``, in the place of any other one."""
    version = loaded.version
    own = folder / f"{version.number}-{version.run_id}"  # numbers start anew in another registry

    def copy(into: Path) -> None:
        shutil.copytree(loaded.folder, into / FILES)
        (into / VERSION).write_text(json.dumps(asdict(version), indent=1), encoding="utf-8")

    kept(own, copy)
    for other in folder.iterdir():
        if other != own and not other.name.startswith("."):  # of another process that is at it
            shutil.rmtree(other, ignore_errors=True)


def copied(folder: Path) -> Loaded | None:
    """The version that ``keep`` kept last, ready to forecast; ``None`` if there is none.

    Raises:
        ModelError: it can't be loaded.
    """
    found = max(folder.glob(f"[0-9]*/{VERSION}"), key=lambda file: file.stat().st_mtime, default=None)
    if found is None:
        return None
    told = json.loads(found.read_text(encoding="utf-8"))
    version = Version(**{**told, "aliases": tuple(told["aliases"])})
    return Loaded(version, read(found.with_name(FILES)), found.with_name(FILES))
