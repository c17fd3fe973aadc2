"""The only door for bytes from outside (simulated, from a file, from an address), and the reader of what came."""

from typing import TYPE_CHECKING, Any

from daycast.adapters.sources.reading import rows

if TYPE_CHECKING:
    from daycast.adapters.sources.fetching import Received, fetch

__all__ = ["Received", "fetch", "rows"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from daycast.adapters.sources import (
        fetching,  # here, as the stages of DVC only read, and depend on no code that fetches
    )

    return getattr(fetching, name)
