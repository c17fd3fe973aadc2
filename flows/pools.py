"""Where the heavy steps of training run: on the GPU pool while it has a worker, else here; and which it was."""

from __future__ import annotations

import time
from typing import Any

from prefect import State, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled

from daycast import settings
from daycast.config import Config, compose
from daycast.errors import PromotionError, ToolError
from daycast.steps import promote
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import DataRef
from flows import modelling, runs, tasks
from flows.modelling import Last

PICKED_UP_S = 90.0  # a worker that died is taken for alive for so long; nobody would ever start a run sent to it
STARTED_S = 900.0  # once a worker has it: a cluster may have to add a node, and to load a large image
ENDED_S = 48 * tasks.HOUR
BETWEEN_S = 5.0
IN_QUEUE = "AwaitingConcurrencySlot"  # a worker has it, behind another run of the dataset


def modelled(config: Config, overrides: list[str], data: DataRef, last: Last) -> Outcome:
    """The outcome of ``modelling``: as a part of this run, or on a GPU worker if this run is of a deployment.

    Raises:
        What a step raised; ``ToolError`` if the run on the GPU pool ended without an outcome.
    """
    if deployment.id is not None and last == "forecast":
        logger = get_run_logger()
        if not has_worker("gpu"):
            logger.info("the heavy steps run on pool cpu: pool gpu has no worker")
        elif (sent := _on_gpu(overrides, data, last)) is not None:
            return sent
        else:
            logger.warning("the heavy steps run on pool cpu: no worker of pool gpu took them in time")
    return modelling.modelled(config, data, last)


def has_worker(pool: str) -> bool:
    """Whether a work pool is there, takes runs, and has a worker that is online."""
    with get_client(sync_client=True) as prefect:
        try:
            return prefect.read_work_pool(pool).status == WorkPoolStatus.READY
        except ObjectNotFound:
            return False


def _on_gpu(overrides: list[str], data: DataRef, last: Last) -> Outcome | None:
    """The outcome of the run on the GPU pool, or ``None`` if nobody took it."""
    given = [*overrides, *([] if _names(overrides, "trainer.accelerator") else ["trainer.accelerator=gpu"])]
    sent = run_deployment(
        f"modelling/{data.dataset}",
        parameters={"overrides": given, "data": data.model_dump(mode="json"), "last": last},
        timeout=0,
        idempotency_key=f"{flow_run.id}-modelling",  # a retry of this run waits for the same one
    )
    get_run_logger().info("the heavy steps run on pool gpu, as run %s", sent.name)
    state, since, until = sent.state, time.monotonic(), time.monotonic() + ENDED_S
    with get_client(sync_client=True) as prefect:
        while state is None or not state.is_final():
            if state is not None and state.name == IN_QUEUE and has_worker("gpu"):
                since = time.monotonic()
            if time.monotonic() > min(since + _patience(state), until):
                prefect.set_flow_run_state(sent.id, Cancelled(message="it took too long; run on pool cpu instead"))
                return None
            time.sleep(BETWEEN_S)
            state = prefect.read_flow_run(sent.id).state
    if not state.is_completed():
        if (refused := _refusal(given, data)) is not None:
            raise refused
        raise ToolError(f"run {sent.name} on pool gpu to complete", f"{state.name}: {state.message}", "see its log")
    # What it made is in MLflow, not in a file of its machine.
    here = settings.load()
    made = runs.outcome(compose(here.root, given), data)
    decision, versions = promote.decided(here, made.run.run_id)
    return made.model_copy(update={"champion": tasks.promote(data.dataset, made.run, versions[decision.winner])})


def _refusal(given: list[str], data: DataRef) -> PromotionError | None:
    here = settings.load()
    try:
        made = runs.outcome(compose(here.root, given), data)
    except ToolError:
        return None
    return promote.refusal(here, data.dataset, made.run.run_id)


def _patience(state: State[Any] | None) -> float:
    """Seconds that a run may stay in a state."""
    if state is None or state.is_scheduled():
        return PICKED_UP_S
    return STARTED_S if state.is_pending() else ENDED_S


def _names(overrides: list[str], key: str) -> bool:
    return any(o.lstrip("+").startswith(f"{key}=") for o in overrides)
