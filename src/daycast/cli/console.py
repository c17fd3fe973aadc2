"""What people see: tables, lines, progress. Machines get ``--json``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from daycast.cli.progress import shown
from daycast.core.chain import Link
from daycast.steps.progress import emit

UNBROKEN = 1000  # columns of what must not be broken
WIDE = 140  # columns where there is no terminal to ask
# Without markup: `model=[gru]` or a path with brackets must come out as it is.
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else WIDE)
documents: list[Any] = []  # printed for machines: one at most


def progress(quiet: bool) -> AbstractContextManager[None]:
    """Show the steps' events on standard error until the block ends."""
    return shown(err, quiet)


@contextmanager
def working(step: str, subject: str, quiet: bool) -> Iterator[None]:
    """Show one step as running until the block ends, and then as done."""
    with progress(quiet):
        emit(step, subject, 0, 0, "running")
        yield
        emit(step, subject, 1, 1, "done")


def heading(text: str) -> None:
    """Print a line in bold, with an empty one before it."""
    out.print(f"\n{text}", style="bold", soft_wrap=True)


def line(text: str) -> None:
    """Print a line, unbroken, so that paths and commands can be copied."""
    out.print(text, soft_wrap=True)


def table(frame: pd.DataFrame, title: str, digits: int = 3, wrapped: str | None = None) -> None:
    """Print a frame; figures right-aligned, thousands apart; one column of text may take several lines."""
    out.print(title, style="bold", soft_wrap=True)  # not the table's own, which is broken at a narrow table's width
    grid = Table(header_style="bold")
    for column in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        grid.add_column(str(column), justify="right" if numeric else "left", no_wrap=not numeric and column != wrapped)
    for row in frame.itertuples(index=False):
        grid.add_row(*(_cell(value, digits) for value in row))
    out.print(grid)


def tree(root: Link, told: Callable[[Link], str]) -> None:
    """Print a chain as a tree, a node for each link."""

    def add(link: Link, to: Tree) -> Tree:
        for below in link.links:
            add(below, to.add(told(below)))
        return to

    # Drawn as wide as it is: ids and paths stay in one piece, to be copied, and the branches keep their shape.
    wide = Console(file=io.StringIO(), width=UNBROKEN, highlight=False, markup=False)
    with wide.capture() as drawn:
        wide.print(add(root, Tree(told(root))))
    for text in drawn.get().splitlines():
        line(text.rstrip())


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    return str(value)


def machine(value: Any) -> None:
    """Print one JSON document on standard output, frames as lists of records, what is not finite as null."""
    documents.append(value)
    sys.stdout.write(json.dumps(_finite(json.loads(json.dumps(value, default=_plain))), indent=1) + "\n")


def facts(values: dict[str, Any]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name in values)
    for name, value in values.items():
        line(f"  {name:<{width}}  {f'{value:,}' if type(value) is int else value}")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _plain(item: Any) -> Any:
    if is_dataclass(item) and not isinstance(item, type):
        return asdict(item)
    if isinstance(item, pd.DataFrame):
        return json.loads(item.to_json(orient="records", date_format="iso"))
    return item.model_dump(mode="json") if hasattr(item, "model_dump") else str(item)
