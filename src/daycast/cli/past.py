"""Commands on days that have gone by: how their forecasts turned out, and forecasts made up for."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from daycast.cli.options import AsJson, AsOf, Debug, Fetch, Overrides, Quiet, dataset_alone, day, ready, trainable
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast.steps.outcomes import MonitoredRef

ALARM = 7  # exit code
Replay = Annotated[
    tuple[datetime, datetime] | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="FROM TO", help="Live through these days anew, point in time."),
]
Plan = Annotated[bool, typer.Option("--dry-run", help="Print what a replay would do.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


def monitor(
    overrides: Overrides = None,
    as_of: AsOf = None,
    fetch: Fetch = False,
    replay: Replay = None,
    dry_run: Plan = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """How the forecasts in the store turned out, against the seasonal naive; ends with 7 on an alarm.

    An alarm is told to `DAYCAST_NOTIFY_URLS`, and starts training where `daycast up` runs; with `--as-of` it is not.

    With `--replay`, a pipeline's whole life is lived over past days, each from what was known then, in a state of its
    own: forecast daily, monitor, train again, promote, roll back; `runner=processes` uses more processes.

    Examples:

        daycast monitor dataset=cta --fetch

        daycast monitor dataset=cta --replay 2019-06-01 2021-11-30 --dry-run
    """
    if replay is not None:
        if beside := [name for name, given in (("--as-of", as_of is not None), ("--fetch", fetch)) if given]:
            found = f"--replay beside {' and '.join(beside)}"
            raise ConfigError("--replay without --as-of and --fetch", found, "leave one of them out")
        from daycast.cli.replay import replay as live

        given = trainable(overrides, debug)
        live(*given, (replay[0].date(), replay[1].date()), dry_run=dry_run, as_json=as_json, quiet=quiet)
        return
    if dry_run:
        raise ConfigError("--dry-run with --replay", "--dry-run alone", "monitoring changes nothing: leave it out")
    dataset_alone(overrides)
    _, configured = ready(overrides, debug)
    from daycast.cli import console, faults

    with console.progress(quiet):
        found, fault = _looked(configured.dataset.name, day(as_of), fetch)
    if as_json:
        console.machine({**found.model_dump(mode="json"), "error": faults.document(fault)})
    else:
        _monitored(found, configured.dataset.unit)
    if found.alarm:
        if fault is not None:
            faults.tell(fault, debug)
        raise typer.Exit(ALARM)
    if fault is not None:
        raise fault


def _looked(dataset: str, as_of: date | None, fetch: bool) -> tuple[MonitoredRef, Exception | None]:
    """What the monitoring found, and what went wrong beside. Raises what hindered it from finding anything."""
    from flows.running import start

    from flows import monitoring

    try:
        return start(monitoring.monitoring, dataset=dataset, as_of=as_of, fetch=fetch), None
    except Exception as error:
        found = monitoring.seen(error)
        if found is None:
            raise
        return found, error


def _monitored(found: MonitoredRef, unit: str) -> None:
    import pandas as pd

    from daycast.cli import console

    console.heading(f"{found.dataset}: {found.n_rows} forecast rows judged, from {found.n_windows} cutoffs")
    console.facts({"judged now": found.n_new, "judged anew, values revised": found.n_revised})
    if found.skill is not None:
        shares = [f"{share:.0%}" if share is not None else "-" for share in (found.coverage_80, found.coverage_95)]
        console.facts(
            {
                "skill, newest four seasons": f"{found.skill:.3f}",
                "MAE": f"{found.mae:,.0f} {unit}",
                "bias": f"{found.bias:+,.0f} {unit}",
                "inside the 80 % and 95 % interval": " and ".join(shares),
            }
        )
    if found.n_rows:
        console.table(pd.read_csv(found.steps), "By horizon step, newest target days")
    columns = ("name", "raised", "figure", "threshold")
    alarms = pd.DataFrame([{name: getattr(one, name) for name in columns} for one in found.alarms])
    console.table(alarms.assign(raised=alarms["raised"].map({True: "RAISED", False: "no"})), "Alarms")
    for one in found.alarms:
        worst = f"; worst: {', '.join(one.series)}" if one.series else ""
        console.line(f"  {'ALARM: ' if one.raised else ''}{one.name}: {one.cause}{worst}")
    if found.unlogged is not None:
        console.line(f"  not logged to MLflow: {found.unlogged.found}; expected: {found.unlogged.expected}")
    for place in filter(None, (found.windows, found.ledger, found.plot, found.steps_plot, found.link)):
        console.line(f"  {place}")


def alarms(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The alarms that each day of a range would have had, by the forecasts in the store, with a picture.

    Example:

        daycast alarms dataset=cta --from 2019-01-01 --to 2020-06-30
    """
    here, configured = ready(overrides, debug)
    import pandas as pd

    from daycast.cli import console
    from daycast.steps import alarms as step
    from daycast.steps.data import in_force

    data = in_force(here, configured.dataset.name).until(day(last))
    found = step.alarms(here, configured, data, first.date())
    stretches = pd.read_csv(found.episodes, parse_dates=["began", "last"])
    if as_json:
        console.machine({**found.model_dump(), "stretches": stretches})
        return
    console.table(stretches, f"{found.dataset}: alarms from {found.first} to {found.last}")
    console.line(f"  {found.days}\n  {found.plot}")


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day to forecast from.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day to forecast from.")],
    overrides: Overrides = None,
    max_parallel: Annotated[int, typer.Option(min=1, max=64, help="Forecasts at once.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be forecast, and by what.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make up for forecasts of past days, each from what was known then, by a version that had seen nothing later.

    What is in the store stays, so the same command goes on where it was interrupted.

    Examples:

        daycast backfill dataset=cta --from 2021-11-01 --to 2021-11-30 --dry-run

        daycast backfill dataset=cta --from 2021-11-01 --to 2021-11-30 --max-parallel 4
    """
    dataset_alone(overrides)
    here, configured = ready(overrides, debug)
    import pandas as pd

    from daycast.cli import console

    span = (first.date(), last.date())
    if dry_run:
        from daycast.steps import backfill as step
        from daycast.steps.data import in_force

        planned = step.plan(here, configured.dataset, in_force(here, configured.dataset.name), *span)
        table = pd.DataFrame([one.model_dump() for one in planned])
        console.machine(planned) if as_json else console.table(table.fillna("none may"), "What a backfill would do")
        return
    from flows.backfill import backfill as flow
    from flows.running import start

    given = {"dataset": configured.dataset.name, "first": span[0], "last": span[1], "max_parallel": max_parallel}
    with console.progress(quiet):
        made = start(flow, **given)
    if as_json:
        console.machine(made)
        return
    console.heading(f"{made.dataset}: {made.n_made} days forecast, {made.new_rows} new rows")
    console.facts(
        {"days in the range": made.n_days, "done before": made.n_done_before, "impossible": len(made.impossible)}
    )
    if made.impossible:
        console.line(f"  every version had seen beyond {made.impossible[0]} .. {made.impossible[-1]}")
