"""Which commit the code is at."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

UNKNOWN, DIRTY = "unknown", "-dirty"
BUILT_FROM = "DAYCAST_COMMIT"  # set by the image that was built from it


def commit(root: Path) -> str:
    """The git commit of ``root``, ``-dirty`` if tracked files differ from it.

    Outside a git clone of it, such as in an image, the one that ``DAYCAST_COMMIT`` names, or ``unknown``.
    """
    if shutil.which("git") is None or not _git(root, "ls-files", "dvc.yaml"):
        # no git here, or a project unpacked inside somebody else's clone
        return os.environ.get(BUILT_FROM) or UNKNOWN
    head = _git(root, "rev-parse", "--verify", "HEAD")
    if not head:
        return UNKNOWN
    return f"{head}{DIRTY}" if _git(root, "status", "--porcelain", "--untracked-files=no") else head


def known(root: Path, commit: str) -> bool | None:
    """Whether the clone at ``root`` has this commit, dirty or not; ``None`` where there is no clone to ask."""
    if shutil.which("git") is None or not _git(root, "ls-files", "dvc.yaml"):
        return None
    return _git(root, "cat-file", "-t", commit.removesuffix(DIRTY)) == "commit"


def _git(root: Path, *words: str) -> str:
    """What git answers; nothing if it fails."""
    ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""
