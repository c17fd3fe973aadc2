"""Progress for people, on standard error: bars on a terminal, lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from daycast.steps.progress import Event, listening

NAME = 32  # columns of a step and what it is about


@contextmanager
def shown(console: Console, quiet: bool) -> Iterator[None]:
    """Show the steps' events until the block ends."""
    if quiet:
        yield
    elif console.is_terminal:
        columns = (
            SpinnerColumn("line" if console.options.ascii_only else "dots"),
            TextColumn(f"{{task.description:<{NAME}}}", markup=False),
            BarColumn(24),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bars, listening(_Bars(bars)):
            yield
    else:
        with listening(_Lines(console)):
            yield


class _Bars:
    """A bar for each (step, subject) at work; what has ended becomes a line above them, so that they never pile up."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.running: dict[tuple[str, str], TaskID] = {}
        self.ended: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        name, whole = (event.step, event.subject), event.total > 0 and event.done >= event.total
        if whole and name in self.ended:  # a step says that it is done, after its last epoch or trial
            return
        if name not in self.running:
            self.running[name] = self.bars.add_task(" ".join(name), total=None, note="")
        self.bars.update(self.running[name], completed=event.done, total=event.total or None, note=event.note)
        self.ended.discard(name)
        if whole:
            self.ended.add(name)
            self._end(self.running.pop(name), event)

    def _end(self, task: TaskID, event: Event) -> None:
        elapsed = next((t.elapsed for t in self.bars.tasks if t.id == task), None) or 0.0
        self.bars.remove_task(task)
        tick = "ok" if self.bars.console.options.ascii_only else "✓"
        line = f"{f'{event.step} {event.subject}':<{NAME}} {event.note}  {elapsed:.0f} s"
        self.bars.console.print(Text(tick, style="green"), Text(line), soft_wrap=True)


class _Lines:
    """A line at most per tenth of a step, so that a log stays readable."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told: dict[tuple[str, str], int] = {}

    def __call__(self, event: Event) -> None:
        name, share = (event.step, event.subject), 10 * event.done // event.total if event.total else 0
        if self.told.get(name) != share:
            self.told[name] = share
            self.console.print(f"{event.step} {event.subject}: {event.note}", soft_wrap=True)
