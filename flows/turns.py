"""One run at a time on the data of a dataset: flows that begin together would wait for DVC's lock, and give up.

It is a limit of the Prefect server's, which is made when the dataset is deployed; without one, DVC's lock is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

LEASE_S = 120.0  # how long a killed run keeps its turn


def named(dataset: str) -> str:
    """The limit's name."""
    return f"daycast-data-{dataset}"


def make(prefect: SyncPrefectClient, dataset: str) -> None:
    """Make the limit, or let it be one again."""
    prefect.upsert_global_concurrency_limit_by_name(named(dataset), 1)


@contextmanager
def taken(dataset: str) -> Iterator[None]:
    """Inside the block, no other run of this server is in one."""
    if not _limited(dataset):
        yield
        return
    with concurrency(named(dataset), lease_duration=LEASE_S, strict=True, raise_on_lease_renewal_failure=False):
        yield


def _limited(dataset: str) -> bool:
    if not PREFECT_API_URL.value():
        return False
    with get_client(sync_client=True) as prefect:
        try:
            return prefect.read_global_concurrency_limit_by_name(named(dataset)).active
        except ObjectNotFound:
            return False
