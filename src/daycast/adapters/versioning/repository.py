"""Opening DVC's repository: quiet, patient with other processes, healed of killed ones, with or without git."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from daycast.errors import ToolError
from daycast.settings import DATA_REMOTE

T = TypeVar("T")

LOCK_WAIT_S = 120.0  # longest wait for another process that works on the same data
BETWEEN_S = 0.5


class BusyError(Exception):
    """Another process holds what is needed, or left its mark there when it was killed."""


def using(root: Path, doing: str, action: Callable[[Any], T]) -> T:
    """``action`` on the open and locked ``dvc.repo.Repo`` of ``root``.

    Raises:
        ToolError: DVC failed, or the lock was held for longer than ``LOCK_WAIT_S``.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import lock_repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
    from dvc_objects.errors import ObjectDBError

    def attempt() -> T:
        try:
            with _opened(root) as repo, lock_repo(repo):
                return action(repo)
        except (LockError, RWLockFileCorruptedError, RWLockFileFormatError) as error:
            raise BusyError(str(error)) from error
        except (DvcException, ObjectDBError, OSError, *of_remotes()) as error:
            raise failed(doing, str(error)) from error

    return patiently(root, doing, attempt)


def of_remotes() -> tuple[type[Exception], ...]:
    """Errors of the library behind an S3 remote, which DVC hands on as they are; none where it was not needed."""
    botocore = sys.modules.get("botocore.exceptions")
    return () if botocore is None else (botocore.BotoCoreError, botocore.ClientError)


def patiently(root: Path, doing: str, attempt: Callable[[], T]) -> T:
    """``attempt``, again and again while it raises ``BusyError``, for ``LOCK_WAIT_S`` at most."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return attempt()
        except BusyError as busy:
            _forget_dead(root)
            if time.monotonic() > deadline:
                raise ToolError(
                    f"DVC to be free within {LOCK_WAIT_S:.0f} s to {doing}",
                    str(busy),
                    "wait for the other process (or end it), then run the same command again",
                ) from busy
            time.sleep(BETWEEN_S)


def failed(doing: str, found: str) -> ToolError:
    """DVC could not do it."""
    return ToolError(
        f"DVC to {doing}", found, "mend what DVC names (`dvc status` and `dvc doctor` tell more), then run it again"
    )


def remote() -> str:
    """What to call the default remote."""
    return os.environ.get(DATA_REMOTE) or "the default remote"


def site(root: Path) -> str:
    """Folder of DVC's memory of file hashes; its default is shared by all users of a machine."""
    return str(root / ".dvc" / "tmp" / "site")


@contextmanager
def _opened(root: Path) -> Iterator[Any]:
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data", "dvc_objects", "scmrepo"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its errors reach us as exceptions; bars follow the level
    if not (root / ".dvc" / "config").is_file():
        raise ToolError(
            f"a project under DVC: {root / '.dvc' / 'config'}",
            "no such file",
            "copy the folder .dvc from your clone of daycast",
        )
    _without_git(root)
    config: dict[str, Any] = {"core": {"site_cache_dir": site(root)}}
    if os.environ.get(DATA_REMOTE):
        config["core"]["remote"] = "of-the-environment"
        config["remote"] = {"of-the-environment": {"url": os.environ[DATA_REMOTE]}}
    with Repo(str(root), config=config) as repo:
        yield repo


def _without_git(root: Path) -> None:
    """Outside a git clone (an image, a tarball) DVC works only if told so, in its configuration of this machine."""
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    from dvc.config import Config

    config = Config(str(root / ".dvc"), validate=False)
    if not config["core"].get("no_scm"):
        with config.edit("local") as local:
            local["core"]["no_scm"] = True


def _forget_dead(root: Path) -> None:
    """Drop from DVC's record of readers and writers the processes that are no more.

    DVC goes by the process id alone; ids come again, in a container at once. So a process younger than the record
    doesn't count as its writer. A half-written record is one that a killed process left.
    """
    from dvc.lock import LockError, make_lock

    folder = root / ".dvc" / "tmp"
    record = folder / "rwlock"
    try:
        with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
            if not record.is_file():
                return
            written = record.stat().st_mtime
            try:
                marks = json.loads(record.read_text())
                alive = {
                    "write": {path: one for path, one in marks.get("write", {}).items() if _alive(one, written)},
                    "read": {
                        path: still
                        for path, those in marks.get("read", {}).items()
                        if (still := [one for one in those if _alive(one, written)])
                    },
                }
            except (ValueError, TypeError, KeyError, AttributeError):
                record.unlink()
                return
            if alive != {"write": marks.get("write", {}), "read": marks.get("read", {})}:
                record.write_text(json.dumps(alive))
    except LockError:
        return  # somebody is writing it at this moment; the next attempt looks again


def _alive(mark: dict[str, Any], written: float) -> bool:
    import psutil

    try:
        return bool(psutil.Process(int(mark["pid"])).create_time() <= written)
    except psutil.NoSuchProcess:
        return False
