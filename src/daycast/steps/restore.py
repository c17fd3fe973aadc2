"""restore: the data of an earlier run, back in its place."""

from __future__ import annotations

from collections.abc import Mapping

from daycast.adapters import versioning
from daycast.settings import Settings


def restore(settings: Settings, pointers: Mapping[str, str]) -> None:
    """Bring back exactly the raw, validated and prepared files of ``DataVersion.pointers``, and what points to them.

    Raises:
        ToolError: some bytes are nowhere (then nothing is changed), or DVC failed.
    """
    versioning.restore(settings.root, pointers)
