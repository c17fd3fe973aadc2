"""Results kept under their content keys: taken from there while what they refer to is still there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect.results import ResultStore
from prefect.settings import PREFECT_SERVER_EPHEMERAL_ENABLED, temporary_settings

from daycast import settings
from daycast.steps import progress


def is_kept(step: str, key: str) -> bool:
    """Whether a step's result is there under its key: Prefect's record of it, and the files it refers to."""
    # Just to look, no server is started: it would be asked whether results are stored elsewhere.
    with temporary_settings({PREFECT_SERVER_EPHEMERAL_ENABLED: False}):
        return settings.load().cache(step, key).exists() and ResultStore().exists(f"{step}-{key}")


def kept(step: str, key_of: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """Task options: keep the result under its content key, and say so when it is taken from there."""

    def cache_key(_context: Any, given: dict[str, Any]) -> str | None:
        key = key_of(given)
        # A record whose files were deleted must not be taken; running again puts the same files back under the key.
        gone = ResultStore().exists(f"{step}-{key}") and not settings.load().cache(step, key).exists()
        return None if gone else f"{step}-{key}"

    def tell(_task: Any, run: Any, state: Any) -> None:
        if state.name == "Cached":
            progress.emit(step, str(run.name).partition(" ")[2], 1, 1, "unchanged, taken from the cache")

    return {
        "cache_key_fn": cache_key,
        "persist_result": True,
        "result_serializer": "json",
        "on_completion": [tell],
    }
