"""Commands that run the path, or parts of it, through the flows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daycast.cli.options import AsJson, AsOf, Debug, Fetch, Overrides, Quiet, dataset_alone, day, ready, trainable

FALLBACK = 9  # exit code

if TYPE_CHECKING:
    from daycast.settings import Settings


def _train(
    overrides: list[str] | None, last: str, fetch: bool, quiet: bool, debug: bool, as_of: datetime | None = None
) -> tuple[Settings, Any]:
    here, configured = trainable(overrides, debug)
    if last == "forecast":
        from daycast.config import filed

        filed.require_gate(here.root, configured)  # the flow asks too, but before that a server is started
    from flows.running import start
    from flows.training import training

    from daycast.cli import console

    with console.progress(quiet):
        given = {"overrides": overrides or [], "fetch": fetch, "last": last, "as_of": day(as_of)}
        outcome = start(training, **given)
    return here, outcome


def run(
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and what is cached; do nothing.")] = False,
    fetch: Fetch = False,
    as_of: AsOf = None,
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
    from daycast.cli import console, summary

    if dry_run:
        here, configured = trainable(overrides, debug)
        plan = summary.plan(here, configured)
        console.machine(plan) if as_json else console.table(plan, "What a run would do")
        return
    here, outcome = _train(overrides, "forecast", fetch, quiet, debug, as_of)
    console.machine(summary.as_json(here, outcome)) if as_json else summary.show(here, outcome)


def tune(
    overrides: Overrides = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search hyperparameters on the validation folds, and stop there.

    Example:

        daycast tune dataset=cta backtest=p1 model=[seasonal_naive,gru] tuning=thorough
    """
    from daycast.cli import console, summary

    _, outcome = _train(overrides, "tune", fetch, quiet, debug)
    console.machine(outcome.tuned) if as_json else summary.show_tuned(outcome)


def backtest(
    overrides: Overrides = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search, fit and backtest; prints the leaderboard, promotes nothing.

    Example:

        daycast backtest dataset=cta backtest=p1 model=[seasonal_naive,seasonal_naive_364,sarima]
    """
    from daycast.cli import console, summary

    here, outcome = _train(overrides, "backtest", fetch, quiet, debug)
    console.machine(summary.as_json(here, outcome)) if as_json else summary.show(here, outcome)


def forecast(
    overrides: Overrides = None,
    as_of: AsOf = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Steps ahead; by default the champion's own.")] = None,
    fetch: Fetch = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 9 if it is not the champion on new data.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast with the champion from the newest data; writes the rows once, and a picture.

    Without new data the last good ones serve; without a champion that forecasts, the one before, the best baseline, or
    the seasonal naive. Each row says which, and `DAYCAST_NOTIFY_URLS` is told; with `--as-of` there is no such way out.

    Examples:

        daycast forecast

        daycast forecast dataset=cta --as-of 2021-11-30 --horizon 14
    """
    dataset_alone(overrides)
    _, configured = ready(overrides, debug)
    from flows.forecasting import forecasting
    from flows.running import start

    from daycast.cli import console, summary

    given = {"dataset": configured.dataset.name, "as_of": day(as_of), "horizon": horizon, "fetch": fetch}
    with console.progress(quiet):
        made = start(forecasting, **given)
    console.machine(summary.forecast_json(made)) if as_json else summary.show_forecast(made)
    if strict and made.reasons:
        raise typer.Exit(FALLBACK)


def promote(
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the decision; change nothing.")] = False,
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="This one, past the gate.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Needed with --version.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Needed with --force, for the history.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make the winner of the dataset's newest run champion; doing it again changes nothing.

    The gate is the one that the run chose, as its file in conf/promotion/ is now; promotion=NAME takes another one.

    Examples:

        daycast promote dataset=cta --dry-run

        daycast promote dataset=cta backtest=p1

        daycast promote dataset=cta --version 7 --force --reason "the strike is not in its data"
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import champions, console, summary
    from daycast.steps import promote as step
    from daycast.steps.judged import gate_of
    from daycast.steps.register import REGISTERED

    if version or force or reason:
        champions.override(here, configured.dataset, (version, force, reason), dry_run=dry_run, as_json=as_json)
        return
    with console.progress(quiet):
        found = summary.newest(here, configured, overrides or [], REGISTERED)
        promotion = gate_of(here, found.run_id, overrides or [], loose=dry_run)
        judged = step.judged(here, configured.dataset.name, found.run_id, promotion)
        instead = step.instead(here, configured.dataset.name, judged, promotion) if dry_run else None
    if not as_json:
        summary.show_checks(judged)
        if instead is not None:
            summary.show_instead(instead)
    version = judged.version.model_copy(update={"in_force": not judged.of_the_past})
    if not dry_run:
        version = step.obey(here, configured.dataset.name, found.run_id, judged, promotion)
    told = {"promoted": not dry_run, "run_id": found.run_id, "version": version, "may": judged.may}
    if as_json:
        other = {} if instead is None else {"instead": instead.to_json()}
        console.machine({**told, "decision": judged.to_json(), **other})
    elif judged.may or judged.of_the_past:
        already = judged.champion == judged.version.version
        summary.show_decision(judged.decision, version, dry_run, already)
    elif not dry_run:  # else it was refused
        console.heading(f"Champion: {version.model} is version {version.version} of {version.name}, the best baseline")


def leaderboard(
    overrides: Overrides = None, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """The models of the dataset's newest finished run, best first.

    Example:

        daycast leaderboard dataset=cta backtest=p1 --json
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console, summary
    from daycast.steps.record import COMPARED

    with console.progress(quiet):
        found = summary.newest(here, configured, overrides or [], COMPARED)
        board = summary.board_of(here, found.run_id)
    title = f"{configured.dataset.name}, {found.name} ({found.run_id})"
    console.machine({"run_id": found.run_id, "leaderboard": board}) if as_json else summary.show_board(board, title)
