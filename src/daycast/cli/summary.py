"""What a run came to, for people and for machines."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from daycast.adapters import tracking
from daycast.cli import console
from daycast.config import Config, Dataset
from daycast.core.verdict import Decision
from daycast.errors import DataError
from daycast.settings import Settings
from daycast.steps import compare, keys
from daycast.steps.data import in_force
from daycast.steps.judged import Judged
from daycast.steps.outcomes import ForecastRef, Outcome
from daycast.steps.record import tracker
from daycast.steps.reference import VersionRef
from daycast.steps.validate import Validated

SHOWN = ("model", "mae", "mape", "mase", "crps", "coverage_80", "coverage_95", "skill")
BRIEF = {"coverage_80": "in 80 %", "coverage_95": "in 95 %"}  # so that the board fits in 100 columns
KEPT = ("transform", "window", "tune", "fit", "backtest")
COLUMNS = 4  # series that a forecast shows side by side


def show_validated(dataset: Dataset, checked: Validated) -> None:
    """What is in the batch, what was checked, and where that is written down."""
    report, days = checked.report, "days" if dataset.freq == "D" else f"timestamps ({dataset.freq})"
    flagged = sum(len(values) for values in report["flagged"].values())
    passed = sum(check["success"] for check in report["checks"])
    console.heading(f"{checked.dataset} keeps its contract" + ("" if checked.ran else " (the same batch as before)"))
    facts = {
        "rows": checked.rows,
        "exact duplicates": f"{checked.exact_duplicates:,}, dropped",
        "series": checked.series,
        days: checked.timestamps,
        "first": _day(checked.first),
        "last": _day(checked.last),
        "gaps": checked.gaps,
        "flagged extremes": f"{flagged:,}, kept",
        "checks passed": f"{passed} of {len(report['checks'])}",
        "report": checked.file,
        "Data Docs": checked.docs,
    }
    if dataset.contract.flag_below is None:
        del facts["flagged extremes"]
    else:
        facts["flagged extremes"] += f" (values below {dataset.contract.flag_below:.0%} of their series' median)"
    console.facts(facts)


def plan(settings: Settings, config: Config) -> pd.DataFrame:
    """What of a run is there already: a row per model, a column per kept step. Nothing is run.

    The data steps are DVC's to skip, and what follows the backtests takes seconds and is idempotent.
    """
    from flows.keeping import is_kept

    try:
        data = in_force(settings, config.dataset.name)
    except DataError:
        data = None

    def state(step: str, model: str) -> str:
        kept = data is not None and is_kept(step, getattr(keys, step)(config, data, model))
        return "cached" if kept else "to run"

    return pd.DataFrame([{"model": model} | {step: state(step, model) for step in KEPT} for model in config.model])


def newest(settings: Settings, config: Config, overrides: Sequence[str], reached: Mapping[str, str]) -> tracking.Run:
    """The dataset's newest finished run that got as far as asked, of the backtest named in the overrides if one is.

    Args:
        reached: ``record.COMPARED`` for one with a leaderboard, ``register.REGISTERED`` for one with a version.

    Raises:
        DataError: there is none.
    """
    chosen = any(o.startswith("backtest=") for o in overrides)
    tags = {**reached, **({"daycast.backtest": config.backtest.name} if chosen else {})}
    found = tracking.latest(tracker(settings), config.dataset.name, tags)
    if found is None:
        asked = f" with backtest={config.backtest.name}" if chosen else ""
        raise DataError(
            f"a finished run of {config.dataset.name}{asked}",
            "none",
            f"run `daycast run dataset={config.dataset.name}`",
        )
    return found


def board_of(settings: Settings, run_id: str) -> pd.DataFrame:
    """The leaderboard that a run logged."""
    return pd.read_csv(io.StringIO(tracking.text(tracker(settings), run_id, "leaderboard.csv")))


def show_board(board: pd.DataFrame, title: str) -> None:
    """The columns of a leaderboard that people compare by, best model first; ``--json`` and MLflow have all of them.

    ``in 80 %`` is the share of what came that lay inside the 80 % interval.
    """
    shown = board[[c for c in SHOWN if c in board]].rename(columns=BRIEF)
    console.table(shown, f"{title}, {board['n_rows'].max():,} rows each")


def show(settings: Settings, outcome: Outcome) -> None:
    """Leaderboard, decision, forecast, and where everything lies."""
    if outcome.board is None:
        return
    board, decision = compare.read(settings, outcome.board)
    show_board(board, f"Leaderboard: {outcome.data.dataset}, out of sample, raw units")
    if outcome.champion is not None:
        show_decision(decision, outcome.champion, False)
    if outcome.forecast is not None:
        show_forecast(outcome.forecast)
    console.heading("Where things lie")
    name = outcome.data.dataset
    console.line(f"  run         {outcome.run.run_id} (MLflow experiment daycast/{name})")
    console.line(f"  data        {outcome.data.version} (DVC version of data/prepared/{name}.parquet)")
    console.line(f"  artifacts   {settings.state}")
    console.line("  look at it  .venv/bin/daycast ui  (MLflow: runs, plots, champion)")


def show_decision(decision: Decision, version: VersionRef, dry_run: bool, already: bool = False) -> None:
    """What was promoted, and why; ``already`` if it was champion before."""
    verb = "would be" if dry_run and not already else "is"
    told = f"{version.model} {verb} version {version.version} of {version.name}"
    if already:
        console.heading(f"Champion already: {told}")
    elif version.in_force:
        console.heading(f"Champion: {told}")
    else:
        console.heading(f"Champion then: {told}, for backfills; the champion has seen later days, and stays")
    for reason in decision.reasons:
        console.line(f"  - {reason}")


def show_checks(judged: Judged) -> None:
    """The gate's checks as a table, and the verdict."""
    if judged.of_the_past:
        console.line("  nothing was judged: it won as of a past day, and the champion has seen later ones")
        return
    if not judged.checks:
        console.line("  nothing was judged: it is champion by other means than this run")
        return
    if judged.champion == judged.version.version:
        console.line(f"  version {judged.champion} is champion already; what this run's gate said of it then:")
    lines = [{"": "passed" if c.passed else "FAILED", "check": c.name, "reason": c.reason} for c in judged.checks]
    beside = f"beside version {judged.beside}" if judged.beside else "without a champion to compare with"
    name = f"The gate `{judged.promotion}`" if judged.promotion else "The gate"
    console.table(pd.DataFrame(lines), f"{name}, {beside}", wrapped="reason")
    every = all(check.passed for check in judged.checks)
    failed = "a check failed, and it was made champion by hand" if judged.may else "not promoted: a check failed"
    console.line(f"  {'every check passed' if every else failed}")


def show_instead(judged: Judged) -> None:
    """The checks of the best baseline, which takes the place if the winner may not and it may."""
    console.heading(f"In its place: {judged.version.model}, version {judged.version.version}, the best baseline")
    show_checks(judged)


def show_forecast(made: ForecastRef) -> None:
    """The forecast as a table: a row per timestamp, a column per series (the first few)."""
    rows = pd.read_csv(made.rows, parse_dates=["ds", "cutoff"])
    digits = max(0, 3 - len(str(int(rows["y_hat"].abs().max()))))  # three figures at least of the largest
    rows = rows.assign(**{name: float("nan") for name in ("q0.1", "q0.9") if name not in rows})  # the chain's last
    rows["value"] = [_cell(*row, digits) for row in rows[["y_hat", "q0.1", "q0.9"]].itertuples(index=False)]
    wide = rows.pivot(index="ds", columns="unique_id", values="value")
    n_series, wide = wide.shape[1], wide.iloc[:, :COLUMNS].reset_index()
    console.line("")
    banded = ", with 80 % band" if rows["q0.1"].notna().any() else ""
    console.table(wide, f"Forecast by {made.served_by.model} after {made.cutoff[:10]}{banded}")
    if n_series > COLUMNS:
        console.line(f"  the first {COLUMNS} of {n_series} series; all rows: {made.rows}")
    if rows["q0.1"].isna().any():
        console.line("  without a band: steps or series that the model was not validated on")
    console.line(f"  {made.new_rows} of {made.n_rows} rows new in the forecast store; picture: {made.plot}")
    if made.reasons:
        console.heading(f"NOT THE USUAL FORECAST: {made.role.replace('_', ' ')}, after {made.cutoff[:10]}")
        for reason in made.reasons:
            console.line(f"  - {reason}")


def _cell(value: float, low: float, high: float, digits: int) -> str:
    middle, lower, upper = (f"{x:,.{digits}f}" for x in (value, low, high))
    return middle if pd.isna(low) else f"{middle}  [{lower} .. {upper}]"


def _day(time: str) -> str:
    return time.removesuffix("T00:00:00")


def show_tuned(outcome: Outcome) -> None:
    """One line per model."""
    lines = [
        {
            "model": t.model,
            "validation": t.value,
            "trials": t.n_trials,
            "pruned": t.n_pruned,
            "parameters": ", ".join(f"{name}={value}" for name, value in t.parameters.items()),
        }
        for t in outcome.tuned
    ]
    console.table(pd.DataFrame(lines).sort_values("validation"), "Searched on the validation folds")


def forecast_json(made: ForecastRef) -> dict[str, Any]:
    """A forecast and its rows."""
    return {**made.model_dump(), "forecast": pd.read_csv(Path(made.rows))}


def as_json(settings: Settings, outcome: Outcome) -> dict[str, Any]:
    """Everything of an outcome."""
    told = outcome.model_dump(exclude={"forecast"})
    if outcome.board is not None:
        board, decision = compare.read(settings, outcome.board)
        told |= {"leaderboard": board, "decision": decision.to_json()}
    if outcome.forecast is not None:
        told["forecast"] = forecast_json(outcome.forecast)
    return told
