"""Where a dataset's files are, and what ``dvc.lock`` records of them; reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daycast.errors import DataError, ToolError

LOCK = "dvc.lock"
STAGES = ("validate", "prepare")


@dataclass(frozen=True)
class Raw:
    """A raw batch under version control.

    Attributes:
        dataset: its name.
        md5: version of the raw folder, as DVC records it (ends in ``.dir``).
        file: the bytes as received.
        changed: whether this version differs from the one in force before.
    """

    dataset: str
    md5: str
    file: Path
    changed: bool


@dataclass(frozen=True)
class DataVersion:
    """A version of a dataset, from source bytes to canonical frame.

    Attributes:
        dataset: its name.
        version: md5 of the prepared Parquet file.
        raw: version of the raw folder it was made from, as DVC records it (ends in ``.dir``).
        pointers: path in the project -> text of what brings its files back (see ``restore``): the ``.dvc`` file, and
            the dataset's entries of ``dvc.lock``.
    """

    dataset: str
    version: str
    raw: str
    pointers: Mapping[str, str]


def raw_folder(dataset: str) -> str:
    """Folder of the raw file, relative to the project."""
    return f"data/raw/{dataset}"


def pointer_file(dataset: str) -> str:
    """DVC's pointer to the raw folder, relative to the project."""
    return f"data/raw/{dataset}.dvc"


def version(root: Path, dataset: str) -> DataVersion:
    """The version that ``dvc.lock`` records.

    Raises:
        DataError: the dataset was not prepared yet.
        ToolError: ``dvc.lock`` can't be read.
    """
    entries = recorded(root, dataset)
    if "prepare" not in entries:
        commands = (f"`daycast {step} dataset={dataset}`" for step in ("ingest", "validate", "prepare"))
        raise DataError(f"a prepared version of {dataset} in {LOCK}", "none", f"run {', then '.join(commands)}")
    return DataVersion(
        dataset, entries["prepare"]["outs"][0]["md5"], raw_entry(entries, dataset)["md5"], pointers(entries, dataset)
    )


def recorded(root: Path, dataset: str) -> dict[str, Any]:
    """Stage name -> the dataset's entry in ``dvc.lock``, of the stages that ran.

    Raises:
        ToolError: ``dvc.lock`` can't be read.
    """
    stages = read_lock(root)["stages"]
    return {stage: stages[f"{stage}@{dataset}"] for stage in STAGES if f"{stage}@{dataset}" in stages}


def read_lock(root: Path) -> dict[str, Any]:
    """``dvc.lock``, an empty one if there is none.

    Raises:
        ToolError: it can't be read.
    """
    file = root / LOCK
    return parse(file.read_text(), file.name) if file.is_file() else {"schema": "2.0", "stages": {}}


def parse(text: str, what: str) -> dict[str, Any]:
    """YAML as DVC reads it (1.2: a country ``NO`` stays text).

    Raises:
        ToolError: it is no lock of DVC.
    """
    from dvc.utils.serialize import loads_yaml
    from ruamel.yaml.error import YAMLError

    try:
        lock = loads_yaml(text)
        if not isinstance(lock["stages"], dict):
            raise TypeError("no stages")
    except (YAMLError, TypeError, KeyError) as error:
        raise ToolError(
            f"{what} as DVC writes it",
            f"it can't be read: {error}",
            f"bring it back with `git checkout {LOCK}`, or delete it: the stages then run again",
        ) from error
    return dict(lock)


def raw_entry(entries: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The raw folder as the first recorded stage read it: path, md5, size, nfiles."""
    stage = next(entries[stage] for stage in STAGES if stage in entries)
    return next(dict(dep) for dep in stage["deps"] if dep["path"] == raw_folder(dataset))


def pointers(entries: Mapping[str, Any], dataset: str) -> dict[str, str]:
    """The pointers to what ``entries`` record, byte by byte as DVC writes them."""
    from dvc.utils.serialize import dumps_yaml

    raw = raw_entry(entries, dataset)
    out = {key: raw[key] for key in ("md5", "size", "nfiles", "hash")} | {"path": dataset}
    stages = {f"{stage}@{dataset}": entry for stage, entry in entries.items()}
    return {
        pointer_file(dataset): dumps_yaml({"outs": [out]}),
        LOCK: dumps_yaml({"schema": "2.0", "stages": stages}),
    }
