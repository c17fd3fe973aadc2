"""The heavy part of the main job, from a data version to a champion: it runs wherever that version can be loaded."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from daycast import models
from daycast.steps.reference import DataRef, Outcome
from flows import blending, tasks

Last = Literal["tune", "backtest", "forecast"]


@flow(name="modelling", flow_run_name="modelling {data.dataset}")
def modelling(overrides: list[str], data: DataRef, last: Last = "forecast") -> Outcome:
    """Search, fit, judge, register and promote on a version of the data; finished work is taken from where it lies.

    Args:
        overrides: in Hydra's grammar, such as ``dataset=cta``.
        data: loaded by its version, so that another machine can do it.
        last: the last step of the whole job; of this flow, all steps for ``forecast``.
    """
    config = tasks.configured(overrides)
    models.require_devices(config)
    folds = tasks.split(config, data)
    given = (config, data, folds)
    with tasks.recording(config, data) as run:
        # Breadth first: a task that waits for another holds a worker, so all models enter a stage before the next.
        arrays = [tasks.transform.submit(*given, name) for name in config.model]
        windows = [tasks.window.submit(*given, a) for a in arrays]
        tuned = blending.stage(*given, windows, tasks.tune, blending.weigh)
        if last == "tune":
            return Outcome(data=data, run=run, tuned=tuple(tasks.results(arrays, windows, tuned)))
        fitted = blending.stage(*given, tuned, tasks.fit, blending.join)
        tested = [tasks.backtest.submit(*given, f, t) for f, t in zip(fitted, tuned, strict=True)]
        logged = [tasks.record_model.submit(*given, run, *of) for of in zip(tuned, fitted, tested, strict=True)]
        board = tasks.compare(*given, tasks.results(arrays, windows, tuned, fitted, tested))
        tasks.results(logged)
        tasks.record_run(*given, run, board)
        made = Outcome(data=data, run=run, tuned=tuple(tasks.results(tuned)), board=board)
        if last == "backtest":
            return made
        version = tasks.register(config, data, run, board, list(made.tuned))
        return made.model_copy(update={"champion": tasks.promote(data.dataset, run, version)})
