"""Commands that show or prove something, and change nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, ready


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000, debug: Debug = False
) -> None:
    """Open the MLflow UI on the runs, models and pictures of this project; ends with Ctrl-C.

    Example:

        daycast ui --port 5001
    """
    here, _ = ready(None, debug)
    from daycast.adapters import tracking
    from daycast.cli import console
    from daycast.steps.record import tracker

    where = tracker(here)
    if where.artifacts is None:
        console.line(f"runs are kept on a server: {where.uri}")
        return
    console.line(f"MLflow: http://127.0.0.1:{port}  (Ctrl-C ends it)")
    tracking.serve_ui(where, port)


def show(overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """The resolved configuration.

    Example:

        daycast config show dataset=cta backtest=p1 model=[gru]
    """
    import yaml

    from daycast.cli import console

    _, configured = ready(overrides, debug, fitting=True)
    values = configured.model_dump(mode="json")
    console.machine(values) if as_json else typer.echo(yaml.safe_dump(values, sort_keys=False), nl=False)


def schema() -> None:
    """The JSON schema of the configuration, every field with its unit.

    Example:

        daycast config schema > schema.json
    """
    from daycast.cli import console
    from daycast.config import Config

    console.machine(Config.model_json_schema())


def leakage(
    overrides: Overrides = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="Only these models of the configuration.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Prove that no forecast depends on what came after its cutoff: scramble the future, and compare bit for bit.

    Example:

        daycast audit leakage dataset=cta --model gru
    """
    here, configured = ready(overrides, debug, fitting=True)
    from daycast.cli import console
    from daycast.steps import audit

    with console.progress(quiet):
        found = audit.leakage(here, configured, model or sorted(configured.model))
    console.machine(found) if as_json else console.table(found, "Leakage audit")
    if not found["passed"].all():
        raise typer.Exit(4)
