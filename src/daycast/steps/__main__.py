"""The commands of the stages in ``dvc.yaml``: ``python -m daycast.steps validate|prepare DATASET``.

Internal: people run ``daycast validate`` and ``daycast prepare``, which let DVC decide whether a stage has to run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from daycast import settings
from daycast.errors import ConfigError, DaycastError
from daycast.settings import OUTCOME, PROGRESS
from daycast.steps import progress


def main(arguments: Sequence[str]) -> int:
    """Run one stage; 0, or the exit code of what went wrong.

    How it ended is also left, as JSON, in the file that the environment variable ``OUTCOME`` names, if it names one:
    the exit code does not come through DVC.
    """
    outcome = os.environ.get(OUTCOME)
    try:
        _run(arguments)
    except DaycastError as error:
        told = {"kind": type(error).__name__, "expected": error.expected, "found": error.found, "fix": error.fix}
        if outcome:
            Path(outcome).write_text(json.dumps(told), encoding="utf-8")
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if outcome:
        Path(outcome).write_text(json.dumps({"ran": True}), encoding="utf-8")
    return 0


def _run(arguments: Sequence[str]) -> None:
    if len(arguments) != 2 or arguments[0] not in ("validate", "prepare"):
        raise ConfigError(
            "`validate DATASET` or `prepare DATASET`", f"`{' '.join(arguments)}`", "write the stage and the dataset"
        )
    stage, dataset = arguments
    here = settings.load()
    settings.apply(here)
    with progress.listening(_tell):
        # Only the stage's own code may be imported: dvc.yaml lists it as what the stage depends on.
        if stage == "validate":
            from daycast.steps import validate

            validate.run(here, dataset)
        else:
            from daycast.steps import prepare

            prepare.run(here, dataset)


def _tell(event: progress.Event) -> None:
    sys.stdout.write(f"{PROGRESS} {event.done} {event.total}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
