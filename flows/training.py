"""The main job: from the world's bytes to a champion and its forecast."""

from __future__ import annotations

from typing import Literal

from prefect import flow
from prefect.runtime import flow_run

from daycast.config import Config
from daycast.steps.reference import DataRef, FoldsRef, Outcome, RunRef
from flows import blending, runners, tasks
from flows.fanning import Stages

Last = Literal["tune", "backtest", "forecast"]


def run_name() -> str:
    """``training`` and the overrides, as they stand on the command line."""
    return " ".join(["training", *flow_run.parameters["overrides"]])


@flow(name="training", flow_run_name=run_name)
def training(overrides: list[str], fetch: bool = False, last: Last = "forecast") -> Outcome:
    """Run every step up to ``last``; finished work is taken from where it lies.

    Args:
        overrides: in Hydra's grammar, such as ``dataset=cta``.
        fetch: whether to ask the source for newer data where some is there already.
        last: the last step to run.
    """
    config = tasks.configured(overrides)
    data = tasks.prepare(tasks.validate(tasks.ingest(config.dataset.name, fetch)))
    folds = tasks.split(config, data)
    with tasks.recording(config, data) as run, runners.chosen(config):
        return _trained((config, data, folds), run, last)


def _trained(given: tuple[Config, DataRef, FoldsRef], run: RunRef, last: Last) -> Outcome:
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
    champion = tasks.promote(data.dataset, run, version)
    return made.model_copy(update={"champion": champion, "forecast": tasks.forecast(data)})
