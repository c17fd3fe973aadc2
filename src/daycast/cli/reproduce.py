"""The command that sets our figures beside published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet

if TYPE_CHECKING:
    from daycast.steps.reproduce import Reproduction, Request

WHAT = """As published: the architecture, recipe and window of the publication, mean ± standard deviation over seeds. It
stops on the MAE of the reported window itself, so these figures are optimistic, as the published ones are."""
BEFORE = "Measured before: for this project, with other code. Where nothing was published, ours is compared with it."


def reproduce(
    overrides: Overrides = None,
    rows: Annotated[list[str] | None, typer.Option("--rows", help="Only these rows, with commas between.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=50, help="Trainings of each network.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One seed, few rows and epochs: a check, no figures.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train and score what was published: published, ours as published, ours tuned; and white noise as a control.

    The rows are in conf/reproduce/published.yaml; overrides are for the models that are ours. All published networks
    with five seeds take about two hours on one core; ours tuned come on top, of which the blends' rows take longest
    (five members each, at four protocols). tuning=none fits ours as configured, without a search; the short search that
    is the default has a dimension for some families alone, tuning=thorough for all. Whatever was trained is kept, so a
    run that was interrupted goes on where it stopped.

    Examples:

        daycast reproduce --quick

        daycast reproduce --rows five_columns,noise_control --seeds 3

        daycast reproduce tuning=none --json
    """
    from daycast import settings
    from daycast.config.reproduce import publication

    here = settings.load()
    settings.apply(here, debug)
    told = publication(here.root)
    from daycast.cli import console
    from daycast.steps import record_reproduction as log
    from daycast.steps import reproduce as step

    names = [name.strip() for part in rows or () for name in part.split(",") if name.strip()]
    asked = step.request(told, names or rows or [], seeds, overrides or [], quick)
    with console.progress(quiet):
        found = step.reproduce(here, asked)
        recorded = log.record(here, asked, found)
    if as_json:
        console.machine(_document(asked, found) | {"run_id": recorded.run_id, "picture": recorded.picture})
    else:
        _show(asked, found)
        console.line(f"  run {recorded.run_id} (MLflow experiment daycast/{told.dataset}); picture: {recorded.picture}")
    if not all(controlled.passed for controlled in found.controls.values()):
        raise typer.Exit(5)


def _show(asked: Request, found: Reproduction) -> None:
    import pandas as pd

    from daycast.cli import console
    from daycast.core.reproduce import NOISE_DEVIATION

    lines = found.lines
    shown = pd.DataFrame(
        {
            "row": lines["row"],
            "figure": lines["figure"],
            "published": [_figure(x) for x in lines["published"]],
            "measured before": [_figure(x) for x in lines["measured"]],
            "as published": [_spread(line) for line in lines.to_dict("records")],
            "off": ["-" if x != x else f"{x:+.1%}" for x in lines["off"]],
            "tuned": [_figure(x) for x in lines["tuned"]],
            "by": lines["by"],
        }
    )
    before = bool(lines["measured"].notna().any())
    if not before:
        del shown["measured before"]
    told = ", QUICK: a check of the machinery, whose figures mean nothing" if asked.quick else ""
    console.table(shown, f"Published, ours as published ({asked.seeds} seeds), ours tuned{told}")
    console.line(f"  {' '.join(WHAT.split())}")
    console.line(f"  Published: {asked.told.source}")
    if before:
        console.line(f"  {BEFORE}")
    for name in asked.rows:
        row = asked.told.rows[name]
        console.line(f"  {name}: {row.title}{f'; {row.note}' if row.note else ''}")
    for name, controlled in found.controls.items():
        console.table(controlled.board[["rank", "model", "n_rows", "rmse", "skill"]], f"{name}: leaderboard on noise")
        verdict = "nothing is promoted over the mean" if controlled.passed else "FAILED"
        console.line(f"  {verdict}: {controlled.decision.reasons[-1]}")
        console.line(
            f"  RMSE of the noise itself: {controlled.own:.3f} on these values, {NOISE_DEVIATION:.3f} of all such"
        )


def _document(asked: Request, found: Reproduction) -> dict[str, Any]:
    return {
        "quick": asked.quick,
        "seeds": asked.seeds,
        "source": asked.told.source,
        "lines": found.lines,
        "controls": {
            name: {"passed": c.passed, "own_rmse": c.own, "decision": c.decision.to_json(), "leaderboard": c.board}
            for name, c in found.controls.items()
        },
    }


def _figure(value: float, like: float | None = None) -> str:
    """A value with as many digits as one the size of ``like`` (by default itself) gets."""
    return "-" if value != value else f"{value:,.0f}" if abs(like or value) >= 1000 else f"{value:.3f}"


def _spread(line: dict[str, Any]) -> str:
    told = _figure(line["mean"])
    return told if line["spread"] != line["spread"] else f"{told} ± {_figure(line['spread'], line['mean'])}"
