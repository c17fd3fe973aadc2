"""Versions of every data file, by DVC: the only package that drives it.

A dataset's raw file lies in ``data/raw/<dataset>/`` and is tracked by the pointer ``data/raw/<dataset>.dvc``; the
stages ``validate@<dataset>`` and ``prepare@<dataset>`` of ``dvc.yaml`` make the rest, and ``dvc.lock`` records from
what. The **data version** is the md5 of the prepared Parquet in ``dvc.lock``.
"""

from daycast.adapters.versioning.git import commit, known
from daycast.adapters.versioning.places import DataVersion, Raw, recorded, version
from daycast.adapters.versioning.stages import reproduce
from daycast.adapters.versioning.storage import add, materialise, push, restore, revert, settle
from daycast.adapters.versioning.whereabouts import HERE, REMOTE, Found, files, whereabouts

__all__ = [
    "HERE",
    "REMOTE",
    "DataVersion",
    "Found",
    "Raw",
    "add",
    "commit",
    "files",
    "known",
    "materialise",
    "push",
    "recorded",
    "reproduce",
    "restore",
    "revert",
    "settle",
    "version",
    "whereabouts",
]
