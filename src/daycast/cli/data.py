"""Commands on data: each is one step, without a flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daycast.cli.options import AsJson, AsOf, Debug, Overrides, Quiet, day, ready

if TYPE_CHECKING:
    from daycast.steps.reference import DataRef

MB = 1e6


def ingest(
    overrides: Overrides = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="A local copy to take instead of the source.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Bring the raw bytes in, exactly as received, and version them.

    Examples:

        daycast ingest dataset=cta

        daycast ingest dataset=cta --from CTA_-_Ridership_-_Daily_Boarding_Totals.csv
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import ingest as step
    from daycast.steps.progress import emit

    name = configured.dataset.name

    def on_bytes(done: int, total: int | None) -> None:
        emit("ingest", name, done, total or 0, f"{done / MB:,.1f} MB")

    with console.progress(quiet):
        raw = step.ingest(here, name, fetch=True, from_file=from_file, on_bytes=on_bytes)
    if as_json:
        console.machine(raw)
        return
    console.heading(f"{name}: {'new bytes' if raw.changed else 'the same bytes as before'}, under version control")
    console.facts({"file": raw.file, "version": raw.md5})


def validate(
    overrides: Overrides = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check the ingested batch against the dataset's contract; a bad one goes to quarantine.

    Examples:

        daycast validate dataset=cta

        daycast validate dataset=cta --as-of 2021-12-02
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console, summary
    from daycast.steps import validate as step

    with console.working("validate", configured.dataset.name, quiet):
        checked = step.validate(here, configured.dataset.name, day(as_of))
    console.machine(checked) if as_json else summary.show_validated(configured.dataset, checked)


def prepare(overrides: Overrides = None, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Make the canonical frame of the validated batch.

    Example:

        daycast prepare dataset=cta
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import prepare as step

    with console.working("prepare", configured.dataset.name, quiet):
        data = step.prepare(here, configured.dataset.name)
    _show_version(data, "prepared", as_json)


def restore(
    run_id: Annotated[str, typer.Option("--run", help="Id of an MLflow run.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Bring back exactly the data that an MLflow run was made with.

    Example:

        daycast data restore --run 3f2c0c7e5d1b4a0f9f6f0d6b7a2f1c11
    """
    here, _ = ready(None, debug)
    from daycast.cli import console
    from daycast.steps import restore as step

    with console.working("restore", run_id, quiet):
        data = step.restore(here, run_id)
    _show_version(data, "restored, with its raw file and its report", as_json)


def _show_version(data: DataRef, what: str, as_json: bool) -> None:
    from daycast.cli import console

    if as_json:
        console.machine(data)
        return
    console.heading(f"{data.dataset}: {what}")
    console.facts({"file": f"data/prepared/{data.dataset}.parquet", "version": data.version})
