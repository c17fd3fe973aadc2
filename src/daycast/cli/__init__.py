"""The command line. It starts flows, or single steps that need no flow; it computes nothing."""

from __future__ import annotations

import sys
import warnings

import typer

from daycast.cli import alerts, champions, data, faults, inspect, interrupt, lineage, operations, past, pipeline, store
from daycast.cli.reproduce import reproduce
from daycast.errors import DaycastError

HELP = """
Forecasts of seasonal demand that a team can leave unattended: from a file to a champion's daily forecast.

One grammar everywhere: `group=choice` and `section.key=value` choose configuration (see `daycast config show`),
`--flags` belong to the command.
"""
EXIT_CODES = """
Exit codes: 0 done · 1 a defect of daycast · 2 wrong configuration or usage · 3 wrong or missing data ·
4 a model failed · 5 no promotion · 6 a tool failed (DVC, MLflow, a database) ·
7 an alarm of `daycast monitor` · 8 a broken lineage, or a run that comes out otherwise ·
9 a fallback served (`daycast forecast --strict`) · 130 interrupted
"""


def application() -> typer.Typer:
    """The commands, put together."""
    app = typer.Typer(
        name="daycast",
        help=HELP,
        epilog=EXIT_CODES,
        rich_markup_mode="markdown",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for command in (pipeline.run, data.ingest, data.validate, data.prepare, pipeline.tune, pipeline.backtest):
        app.command()(command)
    for command in (pipeline.forecast, alerts.alerts, pipeline.promote, pipeline.leaderboard, reproduce):
        app.command()(command)
    for command in (
        past.monitor,
        past.alarms,
        past.backfill,
        operations.up,
        operations.down,
        operations.status,
        operations.deploy,
    ):
        app.command()(command)
    for command in (operations.ui, champions.champion, champions.history, champions.rollback, lineage.lineage):
        app.command()(command)
    app.command("reproduce-run")(lineage.reproduce_run)
    groups = {
        "config": ("Show the configuration and its schema.", {"show": inspect.show, "schema": inspect.schema}),
        "data": ("Versions of the data.", {"restore": data.restore}),
        "store": ("The forecast store's schema.", {"status": store.status, "upgrade": store.upgrade}),
        "audit": ("Proofs that anyone can run.", {"leakage": inspect.leakage}),
    }
    for name, (text, commands) in groups.items():
        group = typer.Typer(help=text, no_args_is_help=True)
        for verb, command in commands.items():
            group.command(verb)(command)
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Entry point: a user's mistake ends in a message and its exit code, a defect of ours in a trace."""
    if not sys.warnoptions and "--debug" not in sys.argv:
        warnings.simplefilter("ignore")  # of libraries, to those who program with them
    try:
        with interrupt.handled():
            application()()
    except DaycastError as error:
        faults.tell(error, debug="--debug" in sys.argv)
        if "--json" in sys.argv:
            from daycast.cli import console

            if not console.documents:
                console.machine({"error": error.to_json()})
        sys.exit(error.exit_code)
