"""Run one stage of ``dvc.yaml``, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daycast import errors
from daycast.adapters.versioning.repository import BusyError, failed, patiently, site, using
from daycast.errors import DaycastError, ToolError
from daycast.settings import OUTCOME, PROGRESS

OnProgress = Callable[[int, int], None]
BUSY = ("Unable to acquire lock", "it is being blocked by", "RWLock-file")
TOLD = 25  # last lines of a crashed stage that are shown


def reproduce(root: Path, stage: str, state: Path, force: bool = False, on_progress: OnProgress | None = None) -> bool:
    """Bring one stage, such as ``validate@cta``, up to date; whether it ran, or all of it was cached.

    DVC alone decides. Its own process keeps the working directory, the environment and the console of this one
    untouched, and can be killed at any moment: the next call finishes the work.

    Args:
        state: ``Settings.state``, for the stage's process.
        force: run it even if nothing changed.
        on_progress: called with the parts done and all of them, where the stage tells.

    Raises:
        DaycastError: what the stage itself raised, such as ``ContractError``.
        ToolError: ``dvc.yaml`` has no such stage, DVC failed, or the stage's process crashed.
    """
    if not force and not using(root, f"look up the stage {stage}", lambda repo: _changed(repo, root, stage)):
        return False
    with tempfile.TemporaryDirectory(prefix="daycast-stage-") as room:
        outcome = Path(room) / "outcome.json"
        command = [sys.executable, "-m", "dvc", "repro", "--single-item", *(["--force"] if force else []), stage]

        def attempt() -> tuple[int, str]:
            code, said = _run(command, root, _environment(root, state, outcome), on_progress)
            if code and not outcome.exists() and any(sign in said for sign in BUSY):
                raise BusyError(said.strip())
            return code, said

        code, said = patiently(root, f"run the stage {stage}", attempt)
        told = json.loads(outcome.read_text()) if outcome.exists() else {}
    if told.get("kind"):
        raise _rebuilt(told)
    if code:
        raise failed(f"run the stage {stage}", "\n  ".join(["", *said.strip().splitlines()[-TOLD:]]))
    return bool(told)  # a stage whose outputs DVC had in its cache leaves no word


def _run(command: list[str], root: Path, env: dict[str, str], on_progress: OnProgress | None) -> tuple[int, str]:
    """Exit code and words of a command, but for its progress."""
    said = []
    with subprocess.Popen(
        command,
        cwd=root,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                if not line.startswith(PROGRESS):
                    said.append(line)
                elif on_progress is not None:
                    done, total = map(int, line.removeprefix(PROGRESS).split())
                    on_progress(done, total)
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(said)


def _changed(repo: Any, root: Path, stage: str) -> bool:
    from dvc.stage.exceptions import StageNotFound

    try:
        (found,) = repo.stage.collect(f"{root / 'dvc.yaml'}:{stage}")
    except StageNotFound as error:
        dataset = stage.partition("@")[2]
        raise ToolError(
            f"a stage {stage} in dvc.yaml",
            "none",
            f"add `{dataset}` to `matrix.dataset` of both stages, validate and prepare, in dvc.yaml",
        ) from error
    return bool(found.changed())


def _environment(root: Path, state: Path, outcome: Path) -> dict[str, str]:
    """For DVC and the stage's command: this interpreter as ``python``, and the very code that DVC watches."""
    here = Path(sys.executable).parent
    if not (here / "python").exists():
        raise ToolError(
            f"an interpreter named `python` in {here}, as the commands of dvc.yaml call it",
            f"only {Path(sys.executable).name}",
            "run daycast from a virtual environment (`make demo` makes one)",
        )
    return os.environ | {
        "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")])),
        "SHELL": "/bin/sh",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": site(root),
        "DAYCAST_ROOT": str(root),
        "DAYCAST_STATE": str(state),
        OUTCOME: str(outcome),
    }


def _rebuilt(told: dict[str, str]) -> DaycastError:
    kind: type[DaycastError] = getattr(errors, told["kind"])
    return kind(told["expected"], told["found"], told["fix"])
