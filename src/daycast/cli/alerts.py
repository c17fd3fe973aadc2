"""The command on exceptionally low days: one step, without a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, ready

if TYPE_CHECKING:
    import pandas as pd

    from daycast.config import Config
    from daycast.steps.alerts import Alerts

MOST = 5  # series up to which each has lines of its own


def alerts(
    overrides: Overrides = None,
    only_alerts: Annotated[
        bool, typer.Option("--only-alerts", help="Of the coming days, those with an alert.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """The probability that a coming day will be exceptionally low, and how good such probabilities were.

    Fits a network, a logistic regression and the base rate on what the backtest's test fold may see, and scores them on
    that fold. What is low, and when an alert is raised, stands in conf/alert/.

    Examples:

        daycast alerts dataset=cta

        daycast alerts dataset=cta alert.low.drop=0.3 alert.threshold=0.25 alert.model=logistic --json
    """
    here, configured = ready(overrides, debug)
    from daycast import models
    from daycast.cli import console
    from daycast.steps import alerts as step

    models.require_devices(configured)

    with console.progress(quiet):
        made = step.alerts(here, configured)
    coming = made.coming[made.coming["alert"]] if only_alerts else made.coming
    if as_json:
        console.machine(_document(made, coming))
    else:
        _show(configured, made, coming)


def _document(made: Alerts, coming: pd.DataFrame) -> dict[str, Any]:
    told = {"run_id": made.run_id, "cutoff": made.cutoff.isoformat(), "model": made.model, "threshold": made.threshold}
    return {**told, "scores": made.scores, "coming": coming}


def _show(config: Config, made: Alerts, coming: pd.DataFrame) -> None:
    from daycast.cli import console

    low, scores = config.alert.low, made.scores
    few = scores["unique_id"].nunique() <= MOST + 1
    shown = scores if few else scores[scores["unique_id"] == "all"]
    console.heading(f"{config.dataset.name}: days that lack {low.drop:.0%} of the {low.statistic} of their last likes")
    names = {"unique_id": "series", "share": "low days", "average_precision": "avg precision", "log_loss": "log loss"}
    console.table(shown.rename(columns=names), f"Backtest {config.backtest.name}, out of sample")
    title = f"After {made.cutoff.date()}, by {made.model}; an alert from {made.threshold:.0%} on"
    if coming.empty:
        console.line(f"{title}: none")
    else:
        marked = coming.assign(alert=coming["alert"].map({True: "LOW", False: ""}))
        names = {"unique_id": "series", "ds": "day", "below": f"low below ({config.dataset.unit})"}
        console.table(marked.rename(columns=names), title)
    console.line(f"run {made.run_id}")
