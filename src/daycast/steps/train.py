"""The whole training path as plain steps, without a scheduler: fit, judge, log and register. What is done is kept.

``flows.modelling`` does the same as tasks, which can be retried, watched, and sent to other machines. This is for
those who train many times in one process, as a replay does.
"""

from __future__ import annotations

from concurrent.futures import Executor

from daycast.config import Config
from daycast.settings import Settings
from daycast.steps import backtest, blend, compare, fit, record, register, split, transform, tune, window
from daycast.steps.progress import emit
from daycast.steps.reference import BacktestRef, DataRef, FittedRef, FoldsRef, RunRef, TunedRef, VersionRef

Made = tuple[TunedRef, FittedRef, BacktestRef]


def train(settings: Settings, config: Config, data: DataRef, pool: Executor | None = None) -> tuple[RunRef, VersionRef]:
    """Train all models on a version of the data; the run in MLflow, and its winner's version.

    Killed at any moment, the same call goes on in the same run, and makes nothing twice.

    Args:
        pool: of processes, in which models are fitted at once; ``None`` to fit them one after the other here.

    Raises:
        What a step raises; the run is then marked as failed.
    """
    folds = split.split(settings, config, data)
    run = record.open_run(settings, config, data)
    try:
        version = _through(settings, config, data, folds, run, pool)
    except KeyboardInterrupt:
        record.close_run(settings, run, "KILLED")
        raise
    except BaseException:
        record.close_run(settings, run, "FAILED")
        raise
    record.close_run(settings, run, "FINISHED")
    return run, version


def _through(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, run: RunRef, pool: Executor | None
) -> VersionRef:
    made = fitted(settings, config, data, folds, pool)
    for name in config.model:
        emit("record", name, 0, 1, "running")
        record.record_model(settings, config, data, folds, run, made[name])
        emit("record", name, 1, 1, "done")
    board = compare.compare(settings, config, data, folds, [made[name][2] for name in config.model])
    record.record_run(settings, config, data, folds, run, board)
    emit("register", board.winner, 0, 1, "running")
    version = register.register(settings, config, data, run, board, [made[name][0] for name in config.model])
    emit("register", board.winner, 1, 1, "done")
    return version


def fitted(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, pool: Executor | None = None
) -> dict[str, Made]:
    """Search, fit and backtest every model, blends after their members; what is there already is taken."""
    alone = [name for name in config.model if not blend.members(config, name)]
    if pool is None:
        made = {name: one(settings, config, data, folds, name) for name in alone}
    else:
        futures = {name: pool.submit(one, settings, config, data, folds, name) for name in alone}
        made = {name: future.result() for name, future in futures.items()}
    for name in config.model:
        if members := blend.members(config, name):
            tuned = blend.weigh(settings, config, data, folds, name, [made[m][0] for m in members])
            joined = blend.join(settings, config, data, folds, tuned, [made[m][1] for m in members])
            tested = backtest.backtest(settings, config, data, folds, joined, tuned)
            made[name] = tuned, joined, tested
    return made


def one(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str) -> Made:
    """The same of one model that is no blend."""
    arrays = transform.transform(settings, config, data, folds, name)
    window.window(settings, config, data, folds, arrays)
    emit("fit", name, 0, 1, "running")
    tuned = tune.tune(settings, config, data, folds, name)
    model = fit.fit(settings, config, data, folds, tuned)
    tested = backtest.backtest(settings, config, data, folds, model, tuned)
    emit("fit", name, 1, 1, "done")
    return tuned, model, tested
