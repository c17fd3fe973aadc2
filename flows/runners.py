"""Where the tasks of a flow run: what the configuration names, set up when the flow begins and gone when it ends.

A flow chooses by itself, not who starts it, so the command line, a deployment and a schedule come to the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from daycast.config import Config
from flows import tokens
from flows.keeping import record_storage


@contextmanager
def chosen(config: Config) -> Iterator[None]:
    """Inside the block, tasks that the flow submits run where ``config.runner`` says.

    Raises:
        ConfigError: the cluster lacks what the configuration asks of it.
        ToolError: there is no cluster, or its workers died of their work.
    """
    context = FlowRunContext.get()
    if context is None:
        raise RuntimeError("only a flow that runs can choose where")
    changes: dict[str, Any] = {}
    if (storage := record_storage()) is not None:
        changes["result_store"] = context.result_store.model_copy(update={"result_storage": storage})
    with (
        _reachable(config.runner.kind),
        _started(config) as runner,
        context.model_copy(update={"task_runner": runner, **changes}),
    ):
        yield


def _started(config: Config) -> AbstractContextManager[TaskRunner[Any]]:
    runner = config.runner
    if runner.kind == "dask":
        from flows.cluster import started

        return started(config)
    tokens.prepare(config)
    kind = ProcessPoolTaskRunner if runner.kind == "processes" else ThreadPoolTaskRunner
    return kind(max_workers=runner.workers)


@contextmanager
def _reachable(kind: str) -> Iterator[None]:
    """Inside the block, other processes find the server that the flow runs on; each would start an embedded one."""
    if kind == "threads" or PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    with temporary_settings({PREFECT_API_URL: SubprocessASGIServer().api_url}):
        yield
