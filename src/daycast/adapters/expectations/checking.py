"""Run the suite: exact about the batch, quiet on the console, its Data Docs in a folder of their own."""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from daycast.adapters.expectations.report import SHOWN, Found
from daycast.adapters.expectations.suite import Rule, columns_rule, freshness_rule, rules
from daycast.config.dataset import Dataset
from daycast.core import batch
from daycast.core.figures import Figures
from daycast.core.raw import POSITION, Raw
from daycast.errors import ToolError


def check(
    dataset: Dataset,
    raw: Raw,
    docs: Path | None = None,
    on_part: Callable[[int], object] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The report on a batch: its figures, every check with the first rows that break it, and ``success``.

    If columns are missing, only the columns are checked, as nothing else can be. The report is JSON-able and depends
    on nothing but ``dataset`` and ``raw``; not on the parts that ``raw`` comes in. What is of the future depends on the
    day, but a batch that has nothing of it never will, and its report is the same on any.

    Args:
        docs: folder for the Data Docs, made anew; ``index.html`` is their first page. None are made without it.
        on_part: called with the number of parts that are done.
        now: an aware point in time, after which nothing can have been observed; the present if not given.

    Raises:
        ToolError: Great Expectations could not evaluate an expectation.
    """
    contract, layout = dataset.contract, dataset.layout()
    complete = set(contract.columns) <= set(raw.columns)
    grid = batch.grid(raw, layout) if complete else None
    latest = dataset.latest(now)  # once, so that midnight is the same for all parts
    figures, found, rows = Figures(layout, contract.flag_below), list[Found](), 0
    with _context(docs) as context:
        for number, part in enumerate(raw.frames(), start=1):
            rows += len(part)
            frame = part if grid is None else _measured(dataset, part, grid, latest, figures)
            frame = frame.assign(**{POSITION: frame.index})
            asked = [columns_rule(dataset, [c for c in frame.columns if c not in raw.columns])]
            asked += rules(dataset) if complete else ()
            found = found or [Found(rule) for rule in asked]
            name = dataset.name if raw.parts == 1 else f"{dataset.name}, part {number} of {raw.parts}"
            for one, result in zip(found, _run(context, name, frame, asked), strict=True):
                one.add(result, frame)
            del part, frame
            gc.collect()  # Great Expectations leaves frames in cycles
            if on_part is not None:
                on_part(number)
    unit = "row" if dataset.read.format == "parquet" else "line"
    checks = [one.entry(unit) for one in found]
    told = figures.told() if complete else {"rows": rows}
    return {"dataset": dataset.name, **told, "checks": checks, "success": all(c["success"] for c in checks)}


def fresh(dataset: Dataset, newest: pd.Timestamp, oldest: pd.Timestamp) -> dict[str, Any]:
    """The check that the ``newest`` row is not older than ``oldest``, as an entry of a report.

    Raises:
        ToolError: Great Expectations could not evaluate the expectation.
    """
    found, frame = Found(freshness_rule(dataset, oldest)), pd.DataFrame({batch.TIME: [newest], POSITION: [0]})
    with _context(None) as context:
        (result,) = _run(context, dataset.name, frame, [found.rule])
    found.add(result, frame)
    return found.entry("line")


def _measured(
    dataset: Dataset, part: pd.DataFrame, grid: pd.DatetimeIndex, latest: pd.Timestamp, figures: Figures
) -> pd.DataFrame:
    """The rows of a part with what is measured of them, which ``figures`` are told too."""
    contract = dataset.contract
    types = {name: column.type for name, column in contract.columns.items()}
    made = batch.measure(part, types, tuple(i.sum for i in contract.identities), dataset.layout(), grid, latest)
    figures.add(made)
    return made.frame


def _run(context: Any, name: str, frame: pd.DataFrame, asked: Sequence[Rule]) -> list[Mapping[str, Any]]:
    """What Great Expectations found, in the order of the rules."""
    import great_expectations as gx

    suite = gx.ExpectationSuite(name=name, expectations=[rule.expectation(i) for i, rule in enumerate(asked)])
    asset = context.data_sources.add_or_update_pandas("received").add_dataframe_asset(name)
    batch_definition = asset.add_batch_definition_whole_dataframe("batch")
    definition = gx.ValidationDefinition(name=name, data=batch_definition, suite=context.suites.add(suite))
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": SHOWN,
            "unexpected_index_column_names": [POSITION],
        },
    )
    ran = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
    (validation,) = ran.run_results.values()
    results = {r.expectation_config.meta["rule"]: r.to_json_dict() for r in validation.results}
    for position, result in results.items():
        _evaluated(result, asked[position])
    return [results[position] for position in range(len(asked))]


@contextmanager
def _context(docs: Path | None) -> Iterator[Any]:
    """A Great Expectations context for one run, without a word on the console; its Data Docs end in ``docs``."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        with tempfile.TemporaryDirectory(prefix="daycast-gx-") as room:
            context = gx.get_context(mode="file", project_root_dir=room)
            context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
            yield context
            if docs is not None:
                context.build_data_docs()
                _publish(Path(room) / "gx" / "uncommitted" / "data_docs" / "local_site", docs)
    finally:
        logger.setLevel(level)


def _publish(site: Path, docs: Path) -> None:
    """Put the site in the place of ``docs``, its first page last, so that a page there means a whole site."""
    shutil.rmtree(docs, ignore_errors=True)
    shutil.copytree(site, docs, ignore=shutil.ignore_patterns("*.gif"))  # 3 MB of moving pictures about the tool
    (docs / "index.html").unlink()
    shutil.copyfile(site / "index.html", docs / "index.html")


def _evaluated(result: Mapping[str, Any], rule: Rule) -> None:
    """Raise ``ToolError`` if the expectation could not be evaluated: that is no verdict on the data."""
    info = result["exception_info"]
    told = [info] if "raised_exception" in info else list(info.values())
    raised = [i["exception_message"] for i in told if i["raised_exception"]]
    if raised:
        raise ToolError(
            f"Great Expectations to check `{rule.name}` of {rule.column or 'the batch'}",
            f"it failed: {raised[0]}",
            "check that great-expectations is the version that constraints.txt pins",
        )
