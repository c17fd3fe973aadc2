"""The command line. It starts flows, or single steps that need no flow; it computes nothing."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daycast import __version__
from daycast.errors import ConfigError, DaycastError

if TYPE_CHECKING:
    from daycast.config import Config
    from daycast.settings import Settings

EXIT_CODES = """
Exit codes: 0 done · 1 a defect of daycast · 2 wrong configuration or usage · 3 wrong or missing data ·
4 a model failed · 5 no promotion · 6 a tool failed (DVC, MLflow, a database) · 130 interrupted
"""

app = typer.Typer(
    name="daycast", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, epilog=EXIT_CODES,
    help="Forecasts of seasonal demand that a team can leave unattended: from a file to a champion's daily forecast.\n\n"
    "One grammar everywhere: `group=choice` and `section.key=value` choose configuration (see `daycast config show`), "
    "`--flags` belong to the command.",
)  # fmt: skip
config_app = typer.Typer(no_args_is_help=True, help="Show the configuration and its schema.")
data_app = typer.Typer(no_args_is_help=True, help="Versions of the data.")
audit_app = typer.Typer(no_args_is_help=True, help="Proofs that anyone can run.")
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")
app.add_typer(audit_app, name="audit")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[group=choice | section.key=value]...", help="Choose and override configuration."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Full stack traces and the tools' own logs.")]
AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last date that may be seen.")]
Fetch = Annotated[bool, typer.Option("--fetch", help="Ask the source for newer data, also where some is there already.")]


def _ready(overrides: list[str] | None, debug: bool = False) -> tuple[Settings, Config]:
    """Settings applied to this process, and the checked configuration; before any tool is imported."""
    from daycast import config, settings

    here = settings.load()
    settings.apply(here, debug)
    return here, config.compose(here.root, overrides or [])


def _train(overrides: list[str] | None, last: str, fetch: bool, quiet: bool, debug: bool) -> tuple[Settings, Any]:
    here, configured = _ready(overrides, debug)
    from daycast import console
    from flows.running import start
    from flows.training import training

    with console.progress(quiet):
        outcome = start(training, configured.runner, overrides=overrides or [], fetch=fetch, last=last)
    return here, outcome


@app.command()
def run(
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and what is cached; do nothing.")] = False,
    fetch: Fetch = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """The whole job: data, search, fits, backtest, leaderboard, champion, forecast.

    Unchanged work is taken from the cache, so a run that was interrupted goes on where it stopped.

    Examples:

        daycast run

        daycast run dataset=cta backtest=p1 tuning=quick

        daycast run dataset=cta model=[seasonal_naive,gru,sarima] tuning.n_trials=30 --dry-run
    """
    from daycast import console, summary

    if dry_run:
        here, configured = _ready(overrides, debug)
        plan = summary.plan(here, configured)
        console.machine(plan) if as_json else console.table(plan, "What a run would do")
        return
    here, outcome = _train(overrides, "forecast", fetch, quiet, debug)
    console.machine(summary.as_json(here, outcome)) if as_json else summary.show(here, outcome)


@app.command()
def tune(
    overrides: Overrides = None, fetch: Fetch = False, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """Search hyperparameters on the validation folds, and stop there.

    Example:

        daycast tune dataset=cta backtest=p1 model=[seasonal_naive,gru] tuning=thorough
    """
    from daycast import console, summary

    _, outcome = _train(overrides, "tune", fetch, quiet, debug)
    console.machine(outcome.tuned) if as_json else summary.show_tuned(outcome)


@app.command()
def backtest(
    overrides: Overrides = None, fetch: Fetch = False, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """Search, fit and backtest; prints the leaderboard, promotes nothing.

    Example:

        daycast backtest dataset=cta backtest=p1 model=[seasonal_naive,seasonal_naive_364,sarima]
    """
    from daycast import console, summary

    here, outcome = _train(overrides, "backtest", fetch, quiet, debug)
    console.machine(summary.as_json(here, outcome)) if as_json else summary.show(here, outcome)


@app.command()
def ingest(
    overrides: Overrides = None,
    from_file: Annotated[Path | None, typer.Option("--from", help="A local copy to take instead of the source.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Bring the raw bytes in, exactly as received, and version them.

    Examples:

        daycast ingest dataset=cta

        daycast ingest dataset=cta --from CTA_-_Ridership_-_Daily_Boarding_Totals.csv
    """
    here, configured = _ready(overrides, debug)
    from daycast import console
    from daycast.steps import ingest as step

    with console.progress(quiet):
        raw = step.ingest(here, configured.dataset.name, fetch=True, from_file=from_file)
    console.facts(raw, as_json)


@app.command()
def validate(
    overrides: Overrides = None, as_of: AsOf = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Check the ingested batch against the dataset's contract; a bad one goes to quarantine.

    Examples:

        daycast validate dataset=cta

        daycast validate dataset=cta --as-of 2021-12-02
    """
    here, configured = _ready(overrides, debug)
    from daycast import console
    from daycast.steps import validate as step

    report = step.validate(here, configured.dataset.name, _day(as_of))
    console.facts(report, as_json)


@app.command()
def prepare(overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Make the canonical frame of the validated batch.

    Example:

        daycast prepare dataset=cta
    """
    here, configured = _ready(overrides, debug)
    from daycast import console
    from daycast.steps import prepare as step

    console.facts(step.prepare(here, configured.dataset.name), as_json)


@app.command()
def forecast(
    overrides: Overrides = None,
    as_of: AsOf = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Steps ahead; by default the champion's own.")] = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast with the champion from the newest data; writes the rows once, and a picture.

    Examples:

        daycast forecast

        daycast forecast dataset=cta --as-of 2021-11-30 --horizon 14
    """
    here, configured = _ready(overrides, debug)
    from daycast import console, summary
    from flows.forecasting import forecasting
    from flows.running import start

    given = {"dataset": configured.dataset.name, "as_of": _day(as_of), "horizon": horizon, "fetch": fetch}
    with console.progress(quiet):
        made = start(forecasting, configured.runner, **given)
    console.machine(summary.forecast_json(made)) if as_json else summary.show_forecast(made)


@app.command()
def promote(
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the decision; change nothing.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make the winner of the dataset's newest run champion; doing it again changes nothing.

    Examples:

        daycast promote dataset=cta --dry-run

        daycast promote dataset=cta backtest=p1
    """
    here, configured = _ready(overrides, debug)
    from daycast import console, summary
    from daycast.steps import promote as step

    found = summary.newest(here, configured, overrides or [])
    decision, version = step.decided(here, found.run_id)
    if not dry_run:
        version = step.promote(here, configured.dataset.name, found.run_id)
    told = {"promoted": not dry_run, "run_id": found.run_id, "version": version, "decision": decision.to_json()}
    console.machine(told) if as_json else summary.show_decision(decision, version, dry_run)


@app.command()
def leaderboard(overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """The models of the dataset's newest finished run, best first.

    Example:

        daycast leaderboard dataset=cta backtest=p1 --json
    """
    here, configured = _ready(overrides, debug)
    from daycast import console, summary

    found = summary.newest(here, configured, overrides or [])
    board = summary.board_of(here, found.run_id)
    title = f"{configured.dataset.name}, {found.name} ({found.run_id})"
    console.machine({"run_id": found.run_id, "leaderboard": board}) if as_json else console.table(board, title)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000, debug: Debug = False
) -> None:
    """Open the MLflow UI on the runs, models and pictures of this project; ends with Ctrl-C.

    Example:

        daycast ui --port 5001
    """
    here, _ = _ready(None, debug)
    from daycast.adapters import tracking

    tracking.serve_ui(here.tracking_uri, here.embedded_artifacts, port)


@config_app.command("show")
def config_show(overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """The resolved configuration.

    Example:

        daycast config show dataset=cta backtest=p1 model=[gru]
    """
    import yaml

    from daycast import console

    _, configured = _ready(overrides, debug)
    values = configured.model_dump(mode="json")
    console.machine(values) if as_json else typer.echo(yaml.safe_dump(values, sort_keys=False), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """The JSON schema of the configuration, every field with its unit."""
    from daycast import console
    from daycast.config import Config

    console.machine(Config.model_json_schema())


@data_app.command("restore")
def data_restore(
    run_id: Annotated[str, typer.Option("--run", help="Id of an MLflow run.")], as_json: AsJson = False, debug: Debug = False
) -> None:
    """Bring back exactly the data that an MLflow run was made with.

    Example:

        daycast data restore --run 3f2c0c7e5d1b4a0f9f6f0d6b7a2f1c11
    """
    here, _ = _ready(None, debug)
    from daycast import console
    from daycast.steps import restore

    console.facts(restore.restore(here, run_id), as_json)


@audit_app.command("leakage")
def audit_leakage(
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
    here, configured = _ready(overrides, debug)
    from daycast import console
    from daycast.steps import audit

    with console.progress(quiet):
        found = audit.leakage(here, configured, model or sorted(configured.model))
    console.machine(found) if as_json else console.table(found, "Leakage audit")
    if not found["passed"].all():
        raise typer.Exit(4)


def _day(when: datetime | None) -> date | None:
    return None if when is None else when.date()


def main() -> None:
    """Entry point: a user's mistake ends in a message and its exit code, a defect of ours in a trace."""
    import click

    try:
        app(standalone_mode=False)
    except click.exceptions.Exit as ending:
        sys.exit(ending.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ConfigError.exit_code)
    except DaycastError as error:
        if "--debug" in sys.argv:
            raise
        typer.secho(f"daycast: {type(error).__name__}", fg="red", bold=True, err=True)
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        typer.echo("\ndaycast: interrupted; the same command goes on where this one stopped", err=True)
        sys.exit(130)
