"""Start a flow from this process, with a server of its own where none is named, and an end on Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from prefect import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from daycast.steps import progress


def start(flow: Flow[..., Any], **parameters: Any) -> Any:
    """Run the flow here and return its result; on a Prefect server if ``PREFECT_API_URL`` names one, else embedded.

    Raises:
        What a step raised; ``ToolError`` if that server refuses or does not answer.
    """
    if PREFECT_API_URL.value():
        from flows.deploying import server

        with server() as prefect:
            prefect.api_version()  # asked here, a server that refuses ends in a message, in the flow in a trace
        with temporary_settings(_heartbeat()):
            return flow(**parameters)
    # The heartbeat thread costs each run a second of waiting, and without a server nobody listens to it.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), _ended_with_us(_serve()):
        return flow(**parameters)


def _heartbeat() -> dict[Any, int]:
    """The setting by which a server that looks for dead runs sees that this one lives; nothing where it is off."""
    from flows.deploying import LOST

    off = PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() is None
    return {} if off else {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: int(LOST.total_seconds()) // 3}


@contextmanager
def _ended_with_us(server: int | None) -> Iterator[None]:
    """Inside the block, the process ``server`` ends when this one is killed, which then could not end it itself.

    A shell waits for a pipe that closes with this process, however that ends, and then ends the server.
    """
    if server is None:
        yield
        return
    waiting = ["/bin/sh", "-c", f"read _; kill {server}"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as shell:
        try:
            yield
        finally:
            shell.kill()


def _serve() -> int | None:
    """Start the embedded server, which the flow would start itself, out of reach of Ctrl-C.

    A terminal sends Ctrl-C to every process of the job, and without its server the flow could not tell how it ended.
    A process inherits the signals that are blocked in the thread which starts it; this thread goes on hearing them.
    Returns the id of the server's process.
    """
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        server.start()

    progress.emit("start", "embedded server", 0, 0, "running")
    starter = ThreadPoolExecutor(1)
    try:
        starter.submit(copy_context().run, begin).result()
    finally:
        starter.shutdown(wait=False)
    progress.emit("start", "embedded server", 1, 1, "done")
    return server.server_process.pid if server.server_process else None
