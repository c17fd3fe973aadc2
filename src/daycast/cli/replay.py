"""`daycast monitor --replay`: what a pipeline's whole life would have been."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daycast.config import Config
    from daycast.settings import Settings


def replay(
    here: Settings, configured: Config, days: tuple[date, date], *, dry_run: bool, as_json: bool, quiet: bool
) -> None:
    """Replay from the first to the last of ``days``, and print what came of it; or what it would be."""
    from daycast.cli import console
    from daycast.steps import replay as step
    from daycast.steps.data import in_force

    given = here, configured, in_force(here, configured.dataset.name), *days
    if dry_run:
        plan = step.plan(*given)
        if as_json:
            console.machine(plan)
            return
        console.heading(f"What a replay of {plan.dataset} would do")
        console.facts(
            {
                "days": f"{plan.n_days:,}, {plan.first} .. {plan.last}; {plan.n_done:,} of them done",
                "first training": f"as of {plan.first_training}, of {', '.join(plan.models)}",
                "trainings": f"{plan.least_trainings} without any alarm, {plan.most_trainings} at most",
                "folder": plan.folder,
            }
        )
        return
    with console.progress(quiet):
        made = step.replay(*given, configured.runner.workers if configured.runner.kind == "processes" else 1)
    if as_json:
        console.machine(made)
        return
    console.heading(
        f"{made.dataset}: {made.n_days:,} days lived, {made.first} .. {made.last}, {made.n_rows:,} rows judged"
    )
    console.facts(
        {
            "MAE, living": f"{made.living:,.0f} {configured.dataset.unit}",
            "first champion, frozen": f"{made.frozen:,.0f}, skill against it {made.skill_frozen:+.3f}",
            "seasonal naive": f"{made.naive:,.0f}, skill against it {made.skill_naive:+.3f}",
            "trainings": f"{made.n_trainings}: {made.n_promotions} promotions, {made.n_refusals} refusals",
            "rollbacks": made.n_rollbacks,
            "alarms": made.n_alarms,
        }
    )
    for file in (made.report, made.picture, made.events, made.rows):
        console.line(f"  {file}")
