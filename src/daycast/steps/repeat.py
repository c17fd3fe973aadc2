"""reproduce-run: a recorded run, trained again from its own data and configuration, apart from all that is here."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from daycast import config as configuration
from daycast import settings as daycast_settings
from daycast.adapters import tracking, versioning
from daycast.config import Config, config_hash
from daycast.core import repetition
from daycast.errors import DataError, ToolError
from daycast.settings import Settings
from daycast.steps import machine
from daycast.steps import recorded as of_run
from daycast.steps.record import hurried, tracker
from daycast.steps.reference import DataRef

ON_GPU = {True: 0.001, False: 0.05}  # relative, by whether training was deterministic: docs/gpu.md has the measurements
FOLDER = "reproduced"  # below the state
WHOLE = "(the run)"  # in the place of a model's name, of the figures of the run itself
ELSEWHERE = (
    *("MLFLOW_TRACKING_URI", "DAYCAST_STUDIES_URL", "DAYCAST_STORE_URL", "DAYCAST_CACHE_URL"),
    *("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME", "PREFECT_SERVER_DATABASE_CONNECTION_URL"),
)  # variables that lead to what is shared


@dataclass(frozen=True)
class Plan:
    """A run to be made again.

    Attributes:
        run_id, name: of the pipeline run, also where one of its models was asked for.
        config: as recorded, but for where tasks run.
        data: as recorded; ``where`` each file of it is.
        tolerance: see ``core.repetition.compared``.
        devices: what networks of it were trained on, ``cpu`` or a GPU's name; empty if it has none.
        warnings: what is otherwise now, and what can't be made twice for certain.
    """

    run_id: str
    name: str
    config: Config
    data: DataRef
    where: tuple[versioning.Found, ...]
    tolerance: float
    devices: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(settings: Settings, run_id: str, tolerance: float | None = None) -> Plan:
    """What would be restored and trained; nothing is.

    Args:
        tolerance: ``None`` for the same bits of a run on CPUs, and ``ON_GPU`` of one on GPUs.

    Raises:
        ToolError: its record is not in MLflow any more, or MLflow can't be reached.
        DataError: it ended before it had figures.
        ConfigError: there is no such run, or its configuration does not fit this code.
    """
    where = tracker(settings)
    run = of_run.run(settings, run_id)
    above = run.tags.get("daycast.run_id", run_id)
    run = run if above == run_id else tracking.find(where, above)
    if not of_run.COMPLETE.items() <= run.tags.items():
        raise DataError(
            "a run of `daycast run` or `backtest` that has a leaderboard",
            f"{run.name} ({above}), {run.status}, which has none",
            "name another one: `daycast leaderboard --json` has the newest run's id",
        )
    config = configuration.recorded(of_run.configuration(settings, above))
    here = configuration.compose(settings.root, fitting=False).runner
    data = of_run.data(settings, run.tags["daycast.dataset"], above, run.tags)
    models = tracking.children(where, above)
    devices = tuple(sorted({m.params["device"] for m in models if "device" in m.params}))
    warnings = machine.differences(run.tags)
    if config_hash(config) != run.tags["daycast.config_hash"]:
        warnings.append("the configuration: its hash is another one now, as the file or the schema has changed")
    warnings += _uncertain(config, models)
    usual = ON_GPU[config.trainer.deterministic] if set(devices) - {"cpu"} else 0.0
    chosen = usual if tolerance is None else tolerance
    found = versioning.whereabouts(settings.root, versioning.files(data.pointers))
    config = config.model_copy(update={"runner": here})
    return Plan(above, run.name, config, data, tuple(found), chosen, devices, tuple(warnings))


def _uncertain(config: Config, models: list[tracking.Run]) -> list[str]:
    """What may come out otherwise by itself."""
    out = []
    if config.tuning.workers > 1 and any(m.metrics.get("search_work") is not None for m in models):
        out.append(f"{config.tuning.workers} workers searched at once: what each drew depended on time")
    if late := hurried(models):
        out.append(late)
    if not config.trainer.deterministic:
        out.append("trainer.deterministic was false: the fastest kernels, not the repeatable ones")
    return out


def _clear(folder: Path) -> None:
    """Delete what processes that were killed have left."""
    for left in folder.iterdir():
        owner = left.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def apart(settings: Settings, run_id: str, keep: bool = False) -> Iterator[Settings]:
    """Settings of a state of its own, in force for this process until the block ends; then it is deleted.

    What is left by one that had to end at once, the next one deletes.

    The project is the same, of which DVC's cache alone is read, and filled from the remote if need be.

    Args:
        keep: leave the state there, to look at.
    """
    before = dict(os.environ)
    (settings.state / FOLDER).mkdir(parents=True, exist_ok=True)
    _clear(settings.state / FOLDER)
    owner = "kept" if keep else str(os.getpid())
    state = Path(tempfile.mkdtemp(prefix=f"{run_id[:8]}-{owner}-", dir=settings.state / FOLDER))
    if not keep:  # again at the end: Prefect's embedded server, which is ended after this, may still write to it
        atexit.register(shutil.rmtree, state, ignore_errors=True)
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ |= {"DAYCAST_ROOT": str(settings.root), "DAYCAST_STATE": str(state)}
    try:
        fresh = daycast_settings.load()
        daycast_settings.apply(fresh)
        yield fresh
    finally:
        os.environ.clear()
        os.environ.update(before)
        if not keep:
            shutil.rmtree(state, ignore_errors=True)


def needed(planned: Plan) -> list[versioning.Found]:
    """The files that a run is made from again: not the raw ones, which the canonical frame was made of."""
    return [found for found in planned.where if not found.path.startswith("data/raw/")]


def restore(settings: Settings, planned: Plan) -> None:
    """Have the run's data in DVC's cache; the files of the workspace stay as they are.

    Raises:
        ToolError: they are nowhere.
    """
    for found in needed(planned):
        try:
            versioning.materialise(settings.root, found.md5)
        except ToolError as error:
            raise ToolError(f"{found.path} of run {planned.name}: {error.expected}", error.found, error.fix) from error


def compared(settings: Settings, fresh: Settings, planned: Plan, again: str) -> pd.DataFrame:
    """Every figure of a run and its models, at every step, and of the run ``again``; see ``core.repetition``."""
    return repetition.compared(_figures(settings, planned.run_id), _figures(fresh, again), planned.tolerance)


def _figures(settings: Settings, run_id: str) -> repetition.Figures:
    where = tracker(settings)
    runs = [tracking.find(where, run_id), *tracking.children(where, run_id)]
    return {run.tags.get("daycast.model", WHOLE): tracking.points(where, run) for run in runs}
