"""Versions of a dataset's registered model in MLflow: files and code, never a pickle, and proven before they count."""

from daycast.adapters.registry.copies import copied, keep
from daycast.adapters.registry.files import lost
from daycast.adapters.registry.package import TOLERANCE, Candidate, Example, prove, stored
from daycast.adapters.registry.reach import require_answer
from daycast.adapters.registry.versions import (
    Loaded,
    Version,
    by_alias,
    find,
    link,
    load,
    model_name,
    register,
    required,
    set_alias,
    tag,
    unset_alias,
    versions,
)

__all__ = [
    "TOLERANCE",
    "Candidate",
    "Example",
    "Loaded",
    "Version",
    "by_alias",
    "copied",
    "find",
    "keep",
    "link",
    "load",
    "lost",
    "model_name",
    "prove",
    "register",
    "require_answer",
    "required",
    "set_alias",
    "stored",
    "tag",
    "unset_alias",
    "versions",
]
