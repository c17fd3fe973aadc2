"""Commands on who forecasts: the champion, its history, and the way back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, ready
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast.config import Dataset
    from daycast.settings import Settings

Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the history.")]


def champion(
    overrides: Overrides = None,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="At the end of a past day.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The version that forecasts a dataset, or forecast it on a past day, and what made it champion.

    Examples:

        daycast champion dataset=cta

        daycast champion dataset=cta --on 2021-11-30 --json
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import standing as step

    told = step.told(here, configured.dataset, None if on is None else on.date())
    if as_json:
        console.machine(told)
        return
    console.heading(f"Champion of {told['dataset']}: version {told['version']}" + (f" on {on:%Y-%m-%d}" if on else ""))
    facts = {name.replace("_", " "): told[name] for name in told if name not in ("dataset", "version", "decision")}
    console.facts({name: value for name, value in facts.items() if value})


def history(overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Every champion that a dataset had: from which version to which, when, who, and why.

    Examples:

        daycast history dataset=cta

        daycast history dataset=cta --json
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import champion as step

    name = configured.dataset.name
    found = step.moves(here, name).drop(columns=["id", "dataset"])
    if as_json:
        console.machine({"dataset": name, "history": found})
    elif found.empty:
        console.line(f"{name} never had a champion: `daycast run dataset={name}`")
    else:
        when = found["decided_at"].dt.tz_convert(configured.dataset.timezone).dt.strftime("%Y-%m-%d %H:%M")
        told = found["actor"] + ": " + found["reason"]
        shown = found.assign(when=when, why=told, to=found["to_version"], **{"from": found["from_version"].fillna("")})
        console.table(shown[["number", "when", "kind", "from", "to", "why"]], f"Champions of {name}", wrapped="why")


def override(
    here: Settings, dataset: Dataset, given: tuple[str | None, bool, str | None], *, dry_run: bool, as_json: bool
) -> None:
    """Make a version champion by hand; ``given`` are the version, whether it is forced, and the reason."""
    version, force, reason = given[0], given[1], (given[2] or "").strip()
    if not (version and force and reason):
        values = zip(("--version", "--force", "--reason"), (version, force, reason), strict=True)
        names = [name for name, value in values if value] or ["a reason of blanks"]
        raise ConfigError(
            "all of --version, --force and --reason, as this passes by the gate",
            f"{' and '.join(names)} alone",
            f"say why: `daycast promote dataset={dataset.name} --version N --force --reason TEXT`",
        )
    if dry_run:
        raise ConfigError("--dry-run without --force", "both", "leave one of them out")
    from daycast.cli import console
    from daycast.steps import champion
    from daycast.steps import promote as step

    before = len(champion.moves(here, dataset.name))
    made = step.override(here, dataset, version, reason)
    moved = len(champion.moves(here, dataset.name)) > before
    if as_json:
        console.machine({"promoted": moved, "version": made, "reason": reason if moved else None})
    else:
        told = "by hand" if moved else "which it was already: nothing is changed, and no reason kept"
        console.heading(f"Champion: {made.model} is version {made.version} of {made.name}, {told}")


def rollback(
    overrides: Overrides = None,
    to: Annotated[str | None, typer.Option(metavar="VERSION", help="By default the champion before this one.")] = None,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try it, and change nothing.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Go back to a former champion, if it still loads and forecasts; once more goes further back.

    What was rolled back is not promoted again by itself.

    Examples:

        daycast rollback dataset=cta --reason "too low since Monday"

        daycast rollback dataset=cta --to 7 --dry-run
    """
    here, configured = ready(overrides, debug)
    from daycast.cli import console
    from daycast.steps import rollback as step

    why = (reason or "").strip() or "by hand, without a reason given"
    with console.progress(quiet):
        before, after = step.rollback(here, configured.dataset, to, why, dry_run=dry_run)
        note = step.warning(here, configured.dataset.name, before, after)
    if as_json:
        told = {"dataset": configured.dataset.name, "from": before, "to": after, "moved": not dry_run}
        console.machine({**told, "note": note})
    else:
        done = "would be" if dry_run else "is"
        left = f"after version {before}" if before else "as there is none any more"
        console.heading(f"Champion of {configured.dataset.name}: {done} version {after} again, {left}")
        if note is not None:
            console.line(f"  {note}")
