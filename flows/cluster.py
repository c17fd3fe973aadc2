"""A flow's Dask cluster: its own on this machine, or one that runs.

Workers are made ready by a plugin, as are those that come later or in place of one that died. It refuses a worker that
would compute something else, or put it elsewhere, than this process expects; and what steps tell there of their
progress is told here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from distributed import Client, KilledWorker, Nanny, Scheduler, Security, SpecCluster
from distributed.system import MEMORY_LIMIT
from prefect.runtime import flow_run
from prefect_dask import DaskTaskRunner

from daycast import models, settings
from daycast.config import Config
from daycast.config.runner import Dask
from daycast.errors import ConfigError, ToolError
from daycast.settings import Settings
from daycast.steps import progress
from flows import tokens
from flows.workers import Ready, expected, stop, topic

PATIENCE_S = 60  # for the scheduler of a cluster that runs, and for its first worker
LOOPBACK = {"host": "127.0.0.1", "protocol": "tls://", "dashboard": False, "dashboard_address": "127.0.0.1:0"}


@contextmanager
def started(config: Config) -> Iterator[DaskTaskRunner]:
    """The task runner of the configured cluster; one that was started here ends with the block.

    Raises:
        ConfigError: a worker is not set up as this process is, or none has the GPU that networks shall be fitted on.
        ToolError: there is no such cluster, it has no worker, or workers died of their work.
    """
    runner, here, told = config.runner, settings.load(), topic(flow_run.id)
    with ExitStack() as stack:
        address, security = runner.address, None
        if address is None:
            address, security = stack.enter_context(_own(runner, here))
        client = stack.enter_context(_client(address, security))
        client.register_plugin(Ready(expected(here)))
        client.subscribe_topic(told, lambda event: progress.tell(progress.Event(**event[1]["event"])))
        stack.enter_context(_tokens(config, client))
        made = DaskTaskRunner(address=address, client_kwargs={"security": security} if security else {})
        try:
            yield stack.enter_context(made)
        except KeyboardInterrupt:
            if runner.address is not None:  # its workers would finish what they are at, for hours perhaps
                client.run(stop, told)
            raise
        except KilledWorker as error:
            raise ToolError(
                "a worker of the cluster that outlives each task",
                " ".join(str(error).split()),
                "give workers more memory (runner.memory_limit) or less to do at once (runner.threads, "
                "runner.series_per_task), and run the same command again",
            ) from error


@contextmanager
def _own(runner: Dask, here: Settings) -> Iterator[tuple[str, Security]]:
    """A cluster of this machine's own on loopback; nobody without its certificate, made here, can send it work."""
    security = Security.temporary()
    auto = runner.memory_limit == "auto"
    options = {
        **LOOPBACK,
        "security": security,
        "nthreads": runner.threads,
        "memory_limit": MEMORY_LIMIT // runner.workers if auto else runner.memory_limit,
        "local_directory": str(here.state / "dask"),
        "silence_logs": logging.CRITICAL,
    }
    devices = _devices(runner)
    workers = {i: {"cls": Nanny, "options": options | _gpu(runner, devices, i)} for i in range(runner.workers)}
    scheduler = {"cls": Scheduler, "options": {**LOOPBACK, "port": 0, "security": security}}
    progress.emit("start", "Dask cluster", 0, 0, "running")
    with SpecCluster(workers, scheduler, security=security, silence_logs=logging.CRITICAL) as cluster:
        progress.emit("start", "Dask cluster", 1, 1, "done")
        yield cluster.scheduler_address, security


def _devices(runner: Dask) -> list[str]:
    """The GPUs that the cluster's first workers get, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = models.gpus() if runner.gpus is None else runner.gpus
    named = visible.split(",") if visible else [str(i) for i in range(count)]
    return named[: min(count, runner.workers)]


def _gpu(runner: Dask, devices: list[str], worker: int) -> dict[str, Any]:
    """Options of a worker: one GPU and its tokens, or none; nothing where there are no GPUs at all."""
    if not devices:
        return {}
    own = devices[worker] if worker < len(devices) else ""
    return {"env": {"CUDA_VISIBLE_DEVICES": own}, "resources": {tokens.RESOURCE: runner.fits_per_gpu} if own else {}}


@contextmanager
def _client(address: str, security: Security | None) -> Iterator[Client]:
    """A client of the cluster, once it has a worker."""
    try:
        client = Client(address, security=security, set_as_default=False, timeout=PATIENCE_S)
    except OSError as error:  # a TimeoutError is one too
        raise _nobody(address, error) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except OSError as error:
            raise _nobody(address, error) from error
        yield client


def _nobody(address: str, error: OSError) -> ToolError:
    return ToolError(
        f"a Dask scheduler at {address} with a worker at least",
        f"none within {PATIENCE_S} s: {error}",
        "start `dask scheduler` and `dask worker` (docs/scale.md), or leave runner.address out for a cluster on this "
        "machine",
    )


@contextmanager
def _tokens(config: Config, client: Client) -> Iterator[None]:
    """Tell ``tokens`` whether workers have any."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    there = any(worker["resources"].get(tokens.RESOURCE) for worker in workers)
    if config.trainer.accelerator == "gpu" and not there:
        raise ConfigError(
            f"a worker with the resource {tokens.RESOURCE}, as trainer.accelerator is gpu",
            "none",
            'start workers of GPU machines with `dask worker --resources "GPU=1"`, or choose trainer.accelerator=cpu',
        )
    before = tokens.given.set(there)
    try:
        yield
    finally:
        tokens.given.reset(before)
