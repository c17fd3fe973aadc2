"""validate: is this batch fit to use? If not, it goes to quarantine, and the last good version stays in force."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from daycast.config.compose import dataset_only
from daycast.config.dataset import Dataset
from daycast.errors import ContractError
from daycast.settings import Settings
from daycast.steps.progress import emit

FIGURES = ("rows", "exact_duplicates", "series", "timestamps", "first", "last", "gaps")


@dataclass(frozen=True)
class Validated:
    """A raw batch that keeps its contract.

    Attributes:
        dataset: its name.
        raw: version of the raw folder, as DVC records it.
        rows: rows of the file, ``exact_duplicates`` (dropped) among them.
        series, timestamps: how many there are; ``first`` and ``last`` of them, ISO.
        gaps: timestamps absent inside series.
        ran: whether the stage ran, or this very batch was validated before.
        file: the JSON report.
        docs: first page of Great Expectations' Data Docs.
        report: the report's content.
    """

    dataset: str
    raw: str
    rows: int
    exact_duplicates: int
    series: int
    timestamps: int
    first: str
    last: str
    gaps: int
    ran: bool
    file: Path
    docs: Path
    report: Mapping[str, Any]


def validate(settings: Settings, dataset: str, as_of: dt.date | None = None) -> Validated:
    """Bring the stage ``validate`` of the dataset up to date, and check the freshness of its newest row.

    A batch that breaks the contract is copied to ``data/quarantine/<dataset>/<raw version>/`` with its report, and
    the last good version is put back in force, wholly. A stale batch blocks too, but its bytes are sound, so it
    stays.

    Args:
        as_of: the day at which the newest row may be ``contract.max_age_days`` old; if not given, today in the
            dataset's time zone.

    Raises:
        ContractError: the batch breaks its contract, or is stale.
        DataError: there is no raw data.
        ToolError: DVC or Great Expectations failed.
    """
    from daycast.adapters import versioning

    section = dataset_only(settings.root, dataset)
    raw = versioning.settle(settings.root, dataset)
    # Data Docs live in the state folder, so they may have gone while DVC knows the report.
    docs = docs_folder(settings, dataset) / "index.html"
    try:
        ran = versioning.reproduce(
            settings.root,
            f"validate@{dataset}",
            settings.state,
            force=not docs.is_file(),
            on_progress=lambda done, total: emit("validate", dataset, done, total, "parts"),
        )
    except ContractError as error:
        raise _reject(settings, dataset, raw, error) from error
    file = report_file(settings, dataset)
    report = json.loads(file.read_text())
    if section.contract.max_age_days is not None:
        _require_fresh(section, report, as_of or section.today())
    figures = {name: report[name] for name in FIGURES}
    return Validated(dataset=dataset, raw=raw, ran=ran, file=file, docs=docs, report=report, **figures)


def run(settings: Settings, dataset: str) -> None:
    """The stage itself: write the report ``data/validated/<dataset>.json``, and Data Docs to the state folder.

    Raises:
        ContractError: the batch breaks its contract; the report is then ``data/validated/<dataset>.rejected.json``.
        SourceError: the raw file can't be read.
    """
    from daycast.adapters import expectations
    from daycast.adapters.sources.parting import parts

    section = dataset_only(settings.root, dataset)
    file = settings.root / "data" / "raw" / dataset / f"received.{section.read.format}"
    with parts(file, section.read, settings.state / "parts" / f"validate-{dataset}") as raw:
        told = partial(emit, "validate", dataset, total=raw.parts)
        found = expectations.check(section, raw, docs_folder(settings, dataset), told)
    report = {"dataset": dataset, "file": file.name, "md5": _md5(file), **found}
    target, rejected = report_file(settings, dataset), rejected_file(settings, dataset)
    if report["success"]:
        rejected.unlink(missing_ok=True)
        _write(target, report)
        return
    _write(rejected, report)
    expected, broken = expectations.text(report)
    raise ContractError(
        f"{file.relative_to(settings.root)} to keep the contract of conf/dataset/{dataset}.yaml\n{expected}",
        f"{sum(not c['success'] for c in report['checks'])} of {len(report['checks'])} checks fail\n{broken}",
        "mend the file at its source and ingest it again; or, if the file is right, change the contract",
    )


def docs_folder(settings: Settings, dataset: str) -> Path:
    """Great Expectations' Data Docs of the batch checked last; ``index.html`` is their first page."""
    return settings.state / "gx" / dataset


def report_file(settings: Settings, dataset: str) -> Path:
    """The report on the batch in force."""
    return settings.root / "data" / "validated" / f"{dataset}.json"


def rejected_file(settings: Settings, dataset: str) -> Path:
    """The report on a batch that failed, until it goes to quarantine."""
    return settings.root / "data" / "validated" / f"{dataset}.rejected.json"


def _reject(settings: Settings, dataset: str, raw: str, error: ContractError) -> ContractError:
    """Quarantine the batch, put the last good version back, and tell so."""
    from daycast.adapters import versioning

    root = settings.root
    place = root / "data" / "quarantine" / dataset / raw.removesuffix(".dir")
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(root / "data" / "raw" / dataset, part)
    shutil.copyfile(rejected_file(settings, dataset), part / "report.json")
    shutil.copytree(docs_folder(settings, dataset), part / "docs")
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    good = versioning.revert(root, dataset)
    rejected_file(settings, dataset).unlink(missing_ok=True)
    stays = f"version {good} stays in force" if good else "there is no earlier good version"
    lies = f"the batch and its report lie in {place.relative_to(root)}/"
    return ContractError(error.expected, error.found, f"{error.fix}\n  {lies}\n  {stays}")


def _require_fresh(section: Dataset, report: Mapping[str, Any], as_of: dt.date) -> None:
    import pandas as pd

    from daycast.adapters import expectations

    oldest = pd.Timestamp(as_of) - pd.Timedelta(days=section.contract.max_age_days or 0)
    check = expectations.fresh(section, pd.Timestamp(report["last"]), oldest)
    if not check["success"]:
        raise ContractError(
            f"{section.name}: {check['expected']}, as of {as_of}",
            f"the newest row is of {check['found'][:10]}",
            f"bring newer data with `daycast ingest dataset={section.name}`, or raise contract.max_age_days",
        )


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()


def _write(file: Path, report: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, file)
