"""How many networks are fitted at once on a GPU: each fit takes a token.

On Dask a token is a worker's resource, so the scheduler sends a fit where one is free, and only to workers with a GPU.
Elsewhere it is a slot of a global concurrency limit of Prefect, one limit for each machine.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

from daycast import models
from daycast.config import Config, Recurrent

RESOURCE = "GPU"  # of Dask's workers, by convention: `dask worker --resources "GPU=2"`
given: ContextVar[bool] = ContextVar("given", default=False)
"""Whether the cluster at hand has tokens."""


def limit_name() -> str:
    """Of this machine's limit in Prefect."""
    return f"daycast-gpu-{socket.gethostname()}"


def placed(config: Config, name: str) -> AbstractContextManager[object]:
    """Inside the block, tasks of a model are submitted to where a token is free, if fitting it needs one."""
    if config.runner.kind != "dask" or not given.get() or not _may_use_gpu(config, name):
        return nullcontext()
    import dask

    return dask.annotate(resources={RESOURCE: 1})


def prepare(config: Config) -> None:
    """Make this machine's limit what the configuration says, before tasks that need it run."""
    if any(_by_limit(config, name) for name in config.model):
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(limit_name(), config.runner.fits_per_gpu)


@contextmanager
def held(config: Config, name: str) -> Iterator[None]:
    """Hold one of this machine's tokens while the block runs, if fitting the model needs one and Dask gives none."""
    if not _by_limit(config, name):
        yield
        return
    with concurrency(limit_name(), strict=True, raise_on_lease_renewal_failure=False):
        yield


def _by_limit(config: Config, name: str) -> bool:
    return config.runner.kind != "dask" and _may_use_gpu(config, name) and models.gpus() > 0


def _may_use_gpu(config: Config, name: str) -> bool:
    return isinstance(config.model[name], Recurrent) and config.trainer.accelerator != "cpu"
