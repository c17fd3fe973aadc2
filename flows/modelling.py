"""The heavy part of the main job, from a data version to a champion: it runs wherever that version can be loaded."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from daycast import models
from daycast.config import Config
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import DataRef, FoldsRef, RunRef
from flows import blending, runners, runs, tasks
from flows.fanning import Stages

Last = Literal["tune", "backtest", "forecast"]


@flow(name="modelling", flow_run_name="modelling {data.dataset}")
def modelling(overrides: list[str], data: DataRef, last: Last = "forecast") -> Outcome:
    """Search, fit, judge, register and promote on a version of the data; finished work is taken from where it lies.

    Args:
        overrides: in Hydra's grammar, such as ``dataset=cta``.
        data: loaded by its version, so that another machine can do it.
        last: the last step of the whole job; of this flow, all steps for ``forecast``.
    """
    return modelled(tasks.configured(overrides, last), data, last)


def modelled(config: Config, data: DataRef, last: Last) -> Outcome:
    """The same as a part of the run that is under way."""
    models.require_devices(config)
    folds = tasks.split(config, data)
    with runs.recording(config, data) as run, runners.chosen(config):
        return _through((config, data, folds), run, last)


def _through(given: tuple[Config, DataRef, FoldsRef], run: RunRef, last: Last) -> Outcome:
    config, data, _ = given
    stages = Stages(*given)
    # Breadth first: a task that waits for another holds a worker, so all models enter a stage before the next.
    arrays = [tasks.transform.submit(*given, name) for name in config.model]
    windows = [tasks.window.submit(*given, a) for a in arrays]
    tuned = blending.stage(*given, windows, stages.tune, blending.weigh)
    if last == "tune":
        return Outcome(data=data, run=run, tuned=tuple(tasks.results(arrays, windows, stages.before, tuned)))
    fitted = blending.stage(*given, tuned, stages.fit, blending.join)
    tested = [stages.backtest(*of) for of in zip(config.model, fitted, tuned, strict=True)]
    logged = [tasks.record_model.submit(*given, run, *of) for of in zip(tuned, fitted, tested, strict=True)]
    board = tasks.compare(*given, tasks.results(arrays, windows, stages.before, tuned, fitted, tested))
    tasks.results(logged)
    tasks.record_run(*given, run, board)
    made = Outcome(data=data, run=run, tuned=tuple(tasks.results(tuned)), board=board)
    if last == "backtest":
        return made
    version = tasks.register(config, data, run, board, list(made.tuned), tasks.results(fitted) + tasks.results(tested))
    return made.model_copy(update={"champion": tasks.promote(data.dataset, run, version)})
