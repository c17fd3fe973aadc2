"""Start a flow from this process: its task runner, quiet logs, and an end on Ctrl-C."""

from __future__ import annotations

from typing import Any

from prefect import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from daycast.config import Runner


def task_runner(runner: Runner) -> TaskRunner[Any]:
    """The Prefect task runner that the configuration names."""
    if runner.kind == "processes":
        return ProcessPoolTaskRunner(max_workers=runner.workers)
    return ThreadPoolTaskRunner(max_workers=runner.workers)


def start(flow: Flow[..., Any], runner: Runner, **parameters: Any) -> Any:
    """Run the flow here and return its result; on a Prefect server if ``PREFECT_API_URL`` names one, else embedded.

    Raises:
        What a step raised.
    """
    chosen = flow.with_options(task_runner=task_runner(runner))
    if PREFECT_API_URL.value():
        return chosen(**parameters)
    # The heartbeat thread costs each run a second of waiting, and without a server nobody listens to it.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return chosen(**parameters)
