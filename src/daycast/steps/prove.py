"""A version in a fresh process, on a CPU: does it load, and forecast what it did when it was made?

``python -m daycast.steps.prove NAME NUMBER`` prints its size and how long a forecast took, as JSON. Internal: the gate
asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from daycast import settings as daycast_settings
from daycast.errors import DaycastError, ModelError
from daycast.settings import Settings

LIMIT_S = 600.0
ONE_THREAD = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Proof:
    """What a version is like: its size in MB, and seconds of a forecast of its stored example."""

    megabytes: float
    seconds: float


def prove(settings: Settings, name: str, number: str) -> Proof:
    """Let a version prove itself.

    Raises:
        ModelError: it does not load, or forecasts otherwise, or takes too long.
    """
    told = {"DAYCAST_ROOT": str(settings.root), "DAYCAST_STATE": str(settings.state)}
    told |= {"MLFLOW_TRACKING_URI": settings.tracking_uri, **ONE_THREAD}
    words = [sys.executable, "-m", "daycast.steps.prove", name, number]
    try:
        done = subprocess.run(
            words, env={**os.environ, **told}, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"version {number} to load within {LIMIT_S:.0f} s", "it did not", "look at its size"
        ) from error
    if done.returncode:
        said = (done.stderr.strip() or "silence").splitlines()
        raise ModelError(
            f"version {number} of {name} to load in a fresh process, and to forecast what it did",
            "\n".join(said[-8:]),
            "train it again with the code that is installed",
        )
    return Proof(**json.loads(done.stdout.splitlines()[-1]))


def main(name: str, number: str) -> int:
    """Load, forecast, compare; 0, or the exit code of what went wrong."""
    here = daycast_settings.load()
    daycast_settings.apply(here)
    from daycast.adapters import registry

    try:
        loaded = registry.load(here.tracking_uri, name, number)
        example = registry.stored(loaded.folder)
        registry.prove(loaded.model, example)
        began = time.perf_counter()
        registry.prove(loaded.model, example)
        seconds = time.perf_counter() - began
    except DaycastError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    size = sum(file.stat().st_size for file in loaded.folder.rglob("*") if file.is_file())
    sys.stdout.write(json.dumps(asdict(Proof(size / 1e6, seconds))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
