"""Commands on where things came from: the chain down to the bytes, and a run made again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, day, ready

if TYPE_CHECKING:
    import pandas as pd

    from daycast.core.chain import Link
    from daycast.steps.repeat import Plan

UNLIKE = 8  # exit code of a chain that is broken, and of a run that comes out otherwise
PLACES = {"here": "in DVC's cache", "remote": "in the remote, from where it is brought"}
SHOWN = {
    "forecast": {"id": "row", "y_hat": "y_hat", "made_at": "made at", "others": "and"},
    "version": {"aliases": "alias", "gate": "gate:", "served": "champion", "data_until": "has seen data until"},
    "run": {"run_id": "id", "model": "of the model", "status": "status", "started": "started", "link": "see"},
    "configuration": {"file": "in"},
    "code": {"whose": "of", "note": "dirty:", "same_as_installed": "the same as what is installed:"},
    "data": {"why": "what it was", "as_of": "as of"},
    "file": {"md5": "md5", "where": ""},
}  # facts of each kind that people see, and how they are called; --json has all


def lineage(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A run, a version or a forecast, see the examples.")],
    overrides: Overrides = None,
    cutoff: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of SERIES@TIME, the origin; else the latest.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """What a forecast, a run or a model version came from, down to the bytes; ends with 8 if a link is missing.

    No data are fetched and nothing changes. `--json` has the resolved configuration and DVC's pointers too.

    Examples:

        daycast lineage forecast dataset=cta

        daycast lineage rail@2021-12-05 --cutoff 2021-11-30 dataset=cta

        daycast lineage @champion dataset=cta

        daycast lineage daycast-cta/7

        daycast lineage 3f2c0c7e5d1b4a0f9f6f0d6b7a2f1c11 --json
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import lineage as step

    found = step.lineage(here, step.Asked(configured.dataset.name, what, day(cutoff)))
    broken = list(found.broken())
    if as_json:
        missing = [f"{link.kind} {link.name}: {link.missing}" for link in broken]
        console.machine({**found.to_json(), "whole": not broken, "broken": missing})
    else:
        console.tree(found, _told)
        for link in broken:
            console.line(f"  MISSING {link.kind} {link.name}: {link.missing}")
        console.line("  the chain is whole" if not broken else "  the chain is broken")
    if broken:
        raise typer.Exit(UNLIKE)


def reproduce_run(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="Of a run in MLflow, or of a model inside it.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Relative difference that agrees; by default 0, on a GPU 0.001, or 0.05 in its fast mode."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be restored and trained.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave what was made, to look at.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a recorded run again, from its data and configuration, and compare every figure; 8 if one differs.

    It happens in a state of its own: nothing that was computed before is taken, and registry, champion, forecasts and
    the workspace stay as they are. It takes as long as the run did. On the same CPU, with the same code and libraries,
    every figure is the same to the last bit. (`daycast reproduce` is about published figures instead.)

    Examples:

        daycast reproduce-run 3f2c0c7e5d1b4a0f9f6f0d6b7a2f1c11 --dry-run

        daycast reproduce-run 3f2c0c7e5d1b4a0f9f6f0d6b7a2f1c11 --json
    """
    here, _ = ready(None, debug)
    from daycast import models
    from daycast.cli import console, interrupt
    from daycast.steps import repeat as step

    interrupt.starts_anew.set()
    with console.progress(quiet):
        planned = step.plan(here, run_id, tolerance)
    if not as_json:
        _show_plan(planned)
    if dry_run:
        if as_json:
            console.machine(_document(planned))
        return
    step.restore(here, planned)
    models.require_devices(planned.config)
    with console.progress(quiet), step.apart(here, planned.run_id, keep) as fresh:
        from flows.repeating import repeating
        from flows.running import start

        made = start(repeating, config=planned.config, data=planned.data, name=planned.name)
        lines = step.compared(here, fresh, planned, made.run.run_id)
    same = bool(len(lines) and lines["agrees"].all())
    if as_json:
        kept = {"state": str(fresh.state)} if keep else {}
        figures = lines.to_dict("records")  # a frame would be rounded to ten digits
        console.machine({**_document(planned), "agrees": same, "figures": figures, **kept})
    else:
        _show_compared(planned, lines)
        if keep:
            console.line(f"  what was made: {fresh.state}")
    if not same:
        raise typer.Exit(UNLIKE)


def _document(planned: Plan) -> dict[str, Any]:
    where = [{"path": f.path, "md5": f.md5, "where": f.where, "why": f.why} for f in planned.where]
    return {
        "run_id": planned.run_id,
        "name": planned.name,
        "dataset": planned.data.dataset,
        "data_version": planned.data.version,
        "as_of": planned.data.as_of,
        "models": list(planned.config.model),
        "tolerance": planned.tolerance,
        "devices": list(planned.devices),
        "warnings": list(planned.warnings),
        "files": where,
    }


def _show_plan(planned: Plan) -> None:
    from daycast.cli import console

    console.heading(f"Run {planned.name} ({planned.run_id})")
    asked = f"a relative difference of {planned.tolerance:g}" if planned.tolerance else "none, to the last bit"
    until = f", as of {planned.data.as_of}" if planned.data.as_of else ""
    if planned.devices:
        console.line(f"  networks were trained on {', '.join(planned.devices)}")
    facts = {
        "data": f"{planned.data.dataset} {planned.data.version}{until}",
        "models": ", ".join(planned.config.model),
        "tuning": f"{planned.config.tuning.name}, seed {planned.config.seed}",
        "difference allowed": asked,
    }
    console.facts(facts)
    for found in planned.where:
        console.line(f"  {found.path}  {found.md5}  {PLACES.get(found.where, f'MISSING: {found.why}')}")
    for warning in planned.warnings:
        console.line(f"  otherwise now: {warning}")


def _show_compared(planned: Plan, lines: pd.DataFrame) -> None:
    from daycast.cli import console

    off = lines[~lines["agrees"]]
    by_model = lines.groupby("model")["agrees"].agg(figures="size", agree="sum").reset_index()
    console.table(by_model, "Figures of each model, and how many came out the same")
    if off.empty:
        console.line(f"  all {len(lines)} figures agree")
        return
    # What is missing on one side sorts last, as the worst.
    worst = off.sort_values("relative", kind="stable").groupby(["model", "metric"]).tail(1).sort_index()
    shown = worst.drop(columns="agrees").assign(
        **{column: [f"{value:.10g}" for value in worst[column]] for column in ("recorded", "again")},
        **{column: [f"{value:.3g}" for value in worst[column]] for column in ("difference", "relative")},
    )
    console.table(shown, "Figures that came out otherwise, of each metric the step that did most")
    console.line(f"  {len(off)} of {len(lines)} figures differ; --json has them all")
    told = planned.warnings or ("nothing that is known: code, libraries, Python and processor are the same",)
    for warning in told:
        console.line(f"  otherwise now: {warning}")


def _told(link: Link) -> str:
    """A link in a few lines, for people."""
    mark = "MISSING " if link.missing else ""
    facts = {name: value for name, value in link.facts.items() if name in SHOWN[link.kind] and value not in (None, [])}
    lines = [f"{SHOWN[link.kind][name]} {_plain(value)}" for name, value in facts.items()]
    head = f"{mark}{link.kind}  {link.name}"
    return f"{head}  {'  '.join(lines)}" if link.kind == "file" else "\n".join([head, *(f"  {line}" for line in lines)])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
