"""prepare: a validated raw file -> the canonical frame, as Parquet."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from daycast.adapters.sources.parting import parts
from daycast.config.compose import dataset_only
from daycast.core.canonical import canonical, needed, outline
from daycast.errors import DataError
from daycast.settings import Settings
from daycast.steps.progress import emit

if TYPE_CHECKING:
    from daycast.config.dataset import Dataset
    from daycast.core.raw import Raw
    from daycast.steps.reference import DataRef

AGAIN = "run `daycast validate dataset={}`, then prepare again"


def prepare(settings: Settings, dataset: str) -> DataRef:
    """Bring the stage ``prepare`` of the dataset up to date, and push its files; a reference to the version they have.

    Raises:
        DataError: the raw file in force was not validated.
        ToolError: DVC failed.
    """
    from daycast.adapters import versioning
    from daycast.steps.data import in_force

    versioning.settle(settings.root, dataset)
    _require_report(settings.root / "data" / "validated" / f"{dataset}.json", dataset)
    versioning.reproduce(
        settings.root,
        f"prepare@{dataset}",
        settings.state,
        on_progress=lambda done, total: emit("prepare", dataset, done, total, "parts"),
    )
    versioning.push(settings.root, dataset)
    return in_force(settings, dataset)


def run(settings: Settings, dataset: str) -> None:
    """The stage itself: write ``data/prepared/<dataset>.parquet``; equal raw file and configuration, equal bytes.

    Raises:
        DataError: the report is not of this raw file, or of one that failed.
        SourceError: the raw file can't be read.
    """
    root = settings.root
    section = dataset_only(root, dataset)
    file = root / "data" / "raw" / dataset / f"received.{section.read.format}"
    _require_validated(root / "data" / "validated" / f"{dataset}.json", file, dataset)
    target = root / "data" / "prepared" / f"{dataset}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with parts(file, section.read, settings.state / "parts" / f"prepare-{dataset}") as raw:
        _write(raw, section, part)
    os.replace(part, target)


def _write(raw: Raw, section: Dataset, to: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    layout = section.layout()
    of = outline(raw.frames(needed(layout)), layout)
    writer = None
    try:
        for number, frame in enumerate(raw.frames(), start=1):
            # Without the metadata of pandas, which tells its version, equal frames give equal bytes.
            made = pyarrow.Table.from_pandas(canonical(frame, layout, of), preserve_index=False)
            made = made.replace_schema_metadata(None)
            writer = writer or parquet.ParquetWriter(to, made.schema, compression="zstd")
            writer.write_table(made)
            emit("prepare", section.name, number, raw.parts)
    finally:
        if writer is not None:
            writer.close()


def _require_validated(report: Path, file: Path, dataset: str) -> None:
    if not file.is_file():
        raise DataError(f"a raw file {file.name}", "none", f"run `daycast ingest dataset={dataset}`")
    _require_report(report, dataset)
    told = json.loads(report.read_text())
    with file.open("rb") as raw:
        md5 = hashlib.file_digest(raw, "md5").hexdigest()
    if told["md5"] != md5 or not told["success"]:
        raise DataError(
            f"a report of success on the raw file in force ({md5})",
            f"one on {told['md5']}, success {told['success']}",
            AGAIN.format(dataset),
        )


def _require_report(report: Path, dataset: str) -> None:
    if not report.is_file():
        raise DataError(f"a validation report of {dataset}", "none", AGAIN.format(dataset))
