"""Servers and schedules, for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from daycast.cli.console import heading, line, out
from daycast.errors import ToolError

if TYPE_CHECKING:
    from flows.overview import Overview
    from flows.programs import Server

    from daycast.settings import Settings

CAUSE = 300  # characters of a cause in a table


def grid(found: Sequence[Server]) -> Table:
    """The servers as a table: what, its address, process and health."""
    made = Table(header_style="bold")
    for column in ("what", "URL", "pid", "up", "health"):
        made.add_column(column, no_wrap=True, justify="right" if column in ("pid", "up") else "left")
    for one in found:
        well = Text("healthy", style="green") if one.healthy else Text(f"failing ({one.state.lower()})", style="red")
        elsewhere = one.state == "elsewhere"
        made.add_row(
            one.name, one.url, "-" if elsewhere else str(one.pid), "-" if elsewhere else _age(one.seconds), well
        )
    return made


def show_servers(found: Sequence[Server]) -> None:
    """Print the table, or what the lack of servers means."""
    if found:
        out.print(grid(found))
    else:
        line("no server runs: `daycast run` brings its own each time; `daycast up` keeps them running")


def watch(settings: Settings, between: float, *, live: bool = True) -> None:
    """Show the servers anew every few seconds, until interrupted, or ended by `daycast down` elsewhere.

    Where nobody can look, in a pipe or a log, they are told once.
    """
    from flows import servers

    found = servers.overview(settings)
    if live and not out.is_terminal:
        show_servers(found)
        live = False
    made = Live(grid(found), console=out, refresh_per_second=2, transient=False) if live else _Nothing()
    with made as shown, suppress(ToolError):  # it is gone between two looks
        while servers.running(settings):
            shown.update(grid(servers.overview(settings)))
            time.sleep(between)


class _Nothing:
    """Stands where nobody watches."""

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, _: Table) -> None:
        return None


def show_prefect(found: Overview | None) -> None:
    """Print what is next, what failed, what is stuck."""
    if found is None:
        return
    heading("Pools")
    line("  " + ", ".join(f"{name}: {state.lower().replace('_', ' ')}" for name, state in found.pools.items()))
    heading("Running")
    for one in found.running:
        line(f"  {one.run}, since {one.since.astimezone():%Y-%m-%d %H:%M %Z}" if one.since else f"  {one.run}")
    if not found.running:
        line("  nothing")
    heading("Next")
    for run in found.upcoming:
        line(f"  {run.due.astimezone():%a %Y-%m-%d %H:%M %Z}  {run.deployment}")
    if not found.upcoming:
        line("  nothing is scheduled")
    heading("Failed last")
    for failed in found.failed:
        when = f"{failed.ended.astimezone():%Y-%m-%d %H:%M}" if failed.ended else "-"
        line(f"  {when}  {failed.run}: {failed.state}\n    {_short(failed.cause)}\n    run: {failed.command}")
    if not found.failed:
        line("  nothing")
    heading("Stuck")
    for stuck in found.stuck:
        since = f"{stuck.since.astimezone():%Y-%m-%d %H:%M}" if stuck.since else "-"
        line(f"  {stuck.run}: {stuck.state} since {since}, {stuck.reason}")
    if not found.stuck:
        line("  nothing")


def _short(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= CAUSE else f"{whole[:CAUSE]} …"


def _age(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds % 60:02d} s"
