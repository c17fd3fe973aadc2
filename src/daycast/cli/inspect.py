"""Commands that show or prove something, and change nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, ready


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
