"""What people see: progress, tables, errors. Machines get ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from daycast.steps.progress import Event, listening

WIDE = 140  # columns where there is no terminal to ask
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


@contextmanager
def progress(quiet: bool) -> Iterator[None]:
    """Show the steps' events until the block ends: bars on a terminal, a line per step elsewhere."""
    if quiet:
        yield
    elif err.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<32}"),
            BarColumn(24),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=err) as bars, listening(_Bars(bars)):
            yield
    else:
        with listening(_Lines()):
            yield


class _Bars:
    """One bar per (step, subject), made at its first event."""

    def __init__(self, bars: Progress) -> None:
        self.bars, self.tasks = bars, {}

    def __call__(self, event: Event) -> None:
        name = (event.step, event.subject)
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(f"{event.step} {event.subject}", total=None, note="")
        self.bars.update(self.tasks[name], completed=event.done, total=event.total or None, note=event.note)


class _Lines:
    """A line at most per tenth of a step, so that a log stays readable."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], int] = {}

    def __call__(self, event: Event) -> None:
        name, share = (event.step, event.subject), 10 * event.done // event.total if event.total else 0
        if self.told.get(name) != share:
            self.told[name] = share
            err.print(f"{event.step} {event.subject}: {event.note}", soft_wrap=True)


def line(text: str) -> None:
    """Print a line, unbroken, so that paths and commands can be copied."""
    out.print(text, soft_wrap=True)


def table(frame: pd.DataFrame, title: str, digits: int = 3) -> None:
    """Print a frame; figures right-aligned, thousands apart."""
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        shown.add_column(str(column), justify="right" if numeric else "left", no_wrap=not numeric)
    for row in frame.itertuples(index=False):
        shown.add_row(*(_cell(value, digits) for value in row))
    out.print(shown)


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    return str(value)


def machine(value: Any) -> None:
    """Print one JSON document on standard output, frames as lists of records."""
    sys.stdout.write(json.dumps(value, default=_plain, indent=1) + "\n")


def facts(value: Any, as_json: bool) -> None:
    """Print a flat value (a dataclass, a reference or a mapping) as JSON or as name and value."""
    if as_json:
        machine(value)
        return
    plain = json.loads(json.dumps(value, default=_plain))
    width = max(len(name) for name in plain)
    for name, item in plain.items():
        if not isinstance(item, dict | list):
            line(f"{name:<{width}}  {item}")


def _plain(item: Any) -> Any:
    if is_dataclass(item) and not isinstance(item, type):
        return asdict(item)
    if isinstance(item, pd.DataFrame):
        return json.loads(item.to_json(orient="records", date_format="iso"))
    return item.model_dump(mode="json") if hasattr(item, "model_dump") else str(item)
