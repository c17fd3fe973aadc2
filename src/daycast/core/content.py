"""Content keys: equal inputs and equal code give an equal key, anything else another one."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
# Those whose release can change a forecast.
LIBRARIES = (
    *("arch", "lightgbm", "numpy", "optuna", "pandas", "pytorch-lightning", "scikit-learn", "scipy"),
    *("statsforecast", "statsmodels", "torch", "utilsforecast"),
)


def key(*parts: Any) -> str:
    """First 16 hex digits of the SHA-256 of the parts' canonical JSON.

    Parts are JSON-able, or have ``model_dump`` (pydantic), or a ``str`` that tells all of them (dates).
    """

    def plain(value: Any) -> Any:
        return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)

    text = json.dumps(parts, default=plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code(*places: str) -> str:
    """Digest of the package's source files under ``places`` (files or folders below ``daycast/``) and of libraries.

    It reads files rather than git, so that an uncommitted change counts, and a commit that only touches prose does not.
    """
    digest = hashlib.sha256()
    for place in places:
        path = PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library}=={version(library)}".encode())
    return digest.hexdigest()[:16]
