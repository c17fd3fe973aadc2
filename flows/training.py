"""The main job: from the world's bytes to a champion and its forecast."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed

from daycast.errors import PromotionError
from daycast.steps.outcomes import Outcome
from flows import anyway, newest, pools, tasks, trials
from flows.modelling import Last


def run_name() -> str:
    """``training`` and the overrides, as they stand on the command line."""
    return " ".join(["training", *flow_run.parameters["overrides"]])


@flow(name="training", flow_run_name=run_name)
def training(
    overrides: list[str],
    fetch: bool = False,
    last: Last = "forecast",
    as_of: date | None = None,
    by_rule: bool = False,
) -> Outcome | State[Any]:
    """Run every step up to ``last``; finished work is taken from where it lies.

    Args:
        overrides: in Hydra's grammar, such as ``dataset=cta``.
        fetch: whether to ask the source for newer data where some is there already.
        last: the last step to run.
        as_of: last date whose data may be seen; ``None`` for all there is.
        by_rule: whether the retrain rule is asked first; then the run ends at once, completed, if it says to wait.
    """
    if (superseded := newest.superseded()) is not None:
        return superseded
    config = tasks.configured(overrides, last)
    if by_rule:  # where no new data come, the monitoring fails and tells: the rule is asked of those that there are
        data, _ = anyway.newest(config.dataset.name, fetch)
        asked = tasks.may_train(config, data)
        if asked.kind == "roll back":
            asked = trials.judged(data)
        if asked.kind != "train":
            return Completed(message=f"{asked.kind}: {asked.reason}")
    else:
        data = tasks.prepared(config.dataset.name, fetch, as_of).until(as_of)
    try:
        outcome = pools.modelled(config, overrides, data, last)
    except PromotionError:
        if as_of is None and last == "forecast":
            anyway.forecast(data)  # the champion stays, and does the day's work
        raise
    if last != "forecast":
        return outcome
    won = outcome.champion
    in_force = won is None or won.in_force
    made = anyway.forecast(data) if in_force else tasks.forecast(data, version=won.version)
    return outcome.model_copy(update={"forecast": made})
