"""Results kept under their content keys: taken from there while what they refer to is still there.

With ``DAYCAST_CACHE_URL`` they are kept there too, for the machines of a cluster: the files behind the references that
a task is given are fetched before it runs, and its own are sent before its result is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from prefect import State, Task, task
from prefect.filesystems import LocalFileSystem, RemoteFileSystem, WritableFileSystem
from prefect.results import ResultStore
from prefect.settings import PREFECT_SERVER_EPHEMERAL_ENABLED, temporary_settings

from daycast import settings
from daycast.adapters import sharing
from daycast.settings import Settings
from daycast.steps import progress
from daycast.steps.reference import files

P = ParamSpec("P")
R = TypeVar("R")

RECORDS = "records"  # folder of Prefect's own records of results


def slipped(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether the interpreter itself failed, by no fault of the work.

    CPython before 3.11.8 and 3.12.2 raises a ``SystemError`` now and then where two threads parse at once, as NumPy
    does for every header of a file (https://github.com/python/cpython/issues/106905).
    """
    return isinstance(state.result(raise_on_failure=False), SystemError)


ONCE_MORE: dict[str, Any] = {"retries": 1, "retry_condition_fn": slipped}


def record_storage() -> WritableFileSystem | None:
    """Where Prefect shall record results, if machines share them; ``None`` for its own place on this one."""
    url = settings.load().cache_url
    if url is None:
        return None
    place = urlsplit(url)
    if place.scheme in ("", "file"):
        return LocalFileSystem(basepath=f"{place.path}/{RECORDS}")
    return RemoteFileSystem(basepath=f"{url}/{RECORDS}")


def is_kept(step: str, key: str) -> bool:
    """Whether a step's result is there under its key: Prefect's record of it, and the files it refers to."""
    # Just to look, no server is started: it would be asked whether results are stored elsewhere.
    with temporary_settings({PREFECT_SERVER_EPHEMERAL_ENABLED: False}):
        return _has_files(settings.load(), step, key) and _recorded(step, key)


def fetch(*given: Any) -> None:
    """Bring the files behind references to this machine, if machines share them."""
    here = settings.load()
    if here.cache_url is not None:
        for step, key in files(given):
            sharing.fetch(here.cache_url, step, key, here.cache(step, key))


def kept(step: str, key_of: Callable[[dict[str, Any]], str], **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function that leaves files under a content key; what is there already is not done again.

    Args:
        key_of: the key, by the task's arguments.
        options: of Prefect's task; without ``retries``, it is tried again only where the interpreter failed.
    """

    def cache_key(_context: Any, given: dict[str, Any]) -> str | None:
        here, key = settings.load(), key_of(given)
        if here.cache_url is not None and _recorded(step, key):
            sharing.fetch(here.cache_url, step, key, here.cache(step, key))
        # A record whose files were deleted must not be taken; running again puts the same files back under the key.
        gone = _recorded(step, key) and not here.cache(step, key).exists()
        return None if gone else f"{step}-{key}"

    def tell(_task: Any, run: Any, state: Any) -> None:
        if state.name == "Cached":
            progress.emit(step, str(run.name).partition(" ")[2], 1, 1, "unchanged, taken from the cache")

    def made(function: Callable[P, R]) -> Task[P, R]:
        @wraps(function)
        def run(*args: P.args, **named: P.kwargs) -> R:
            given = signature(function).bind(*args, **named).arguments
            fetch(*given.values())
            result = function(*args, **named)
            here, key = settings.load(), key_of(given)
            if here.cache_url is not None and here.cache(step, key).exists():
                sharing.send(here.cache_url, step, key, here.cache(step, key))
            return result

        kwargs = {"cache_key_fn": cache_key, "persist_result": True, "result_serializer": "json", **ONCE_MORE}
        return task(on_completion=[tell], **(kwargs | options))(run)

    return made


def _recorded(step: str, key: str) -> bool:
    return ResultStore(result_storage=record_storage()).exists(f"{step}-{key}")


def _has_files(here: Settings, step: str, key: str) -> bool:
    if here.cache(step, key).exists():
        return True
    return here.cache_url is not None and sharing.holds(here.cache_url, step, key)
