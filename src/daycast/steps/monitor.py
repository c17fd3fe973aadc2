"""monitor: how the forecasts in the store turned out, and whether somebody has to act."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from daycast.adapters import registry, report, store, tracking
from daycast.config import Config
from daycast.core import alarms as core
from daycast.core import content, ledger
from daycast.core.alarms import Alarm
from daycast.errors import ToolError
from daycast.settings import Settings
from daycast.steps import ledger as ledger_step
from daycast.steps import watch
from daycast.steps.data import age, arrays
from daycast.steps.outcomes import AlarmRef, MonitoredRef, Unlogged
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef

NEWEST = 4  # seasons of target days that the headline is of
WINDOWS, STEPS, LEDGER = "windows.csv", "steps.csv", "ledger.parquet"
PLOT, STEPS_PLOT = "skill.png", "steps.png"
FIGURES = ("skill", "mae", "naive_mae", "bias", "coverage_80", "coverage_95")


def monitor(settings: Settings, config: Config, data: DataRef) -> MonitoredRef:
    """Give each forecast whose day has come its error, bring the ledger up to date, and look for alarms.

    As of a past day, errors are kept all the same, for they are what they are, and nothing else is: no run in MLflow.

    Raises:
        ToolError: the store can't be read or written.
    """
    dataset, rule = config.dataset, config.monitoring
    until, counts, sums, told = look(settings, config, data)
    recent = sums[sums["ds"] > until - rule.pictured_steps * pd.tseries.frequencies.to_offset(dataset.freq)]
    folder = settings.state / "monitoring" / dataset.name / str(until.date())
    _write(folder, config, sums, recent)
    head = _headline(sums, NEWEST * dataset.season_length)
    raised = [one for one in told if one.raised]
    found = MonitoredRef(
        dataset=dataset.name,
        until=until.isoformat(),
        n_rows=int(sums["n"].sum()),
        n_windows=int(sums["cutoff"].nunique()),
        n_new=counts[0],
        n_revised=counts[1],
        **{name: head.get(name) for name in FIGURES if name != "naive_mae"},
        alarm=bool(raised),
        reason="; ".join(f"{one.name}: {one.cause}" for one in raised or told),
        alarms=tuple(_reference(one) for one in told),
        windows=str(folder / WINDOWS),
        steps=str(folder / STEPS),
        ledger=str(folder / LEDGER),
        plot=str(folder / PLOT) if len(recent) else None,
        steps_plot=str(folder / STEPS_PLOT) if len(recent) else None,
    )
    if data.as_of is not None:
        return found
    try:
        registry.require_answer(settings.tracking_uri)
        return _recorded(settings, found, head, recent)
    except ToolError as error:  # what was found has to be told all the same
        why = Unlogged(expected=error.expected, found=error.found, fix=error.fix)
        return found.model_copy(update={"unlogged": why})


class Look(NamedTuple):
    """What a day's monitoring comes to: of the newest observation, of the ledger's rows new and judged anew."""

    until: pd.Timestamp
    counts: tuple[int, int]
    sums: pd.DataFrame
    alarms: tuple[Alarm, ...]


def look(settings: Settings, config: Config, data: DataRef) -> Look:
    """Bring the ledger up to date and look for alarms; nothing is drawn or logged."""
    panel = arrays(settings, config.dataset.spec(), data).panel
    counts = ledger_step.keep(settings, config, panel, data.version)
    sums = ledger_step.read(settings, config.dataset, panel.cutoff)
    told = _watched(settings, config, watch.seen(panel, sums, config.monitoring), age(config, data, panel.cutoff))
    return Look(panel.cutoff, counts, sums, told)


def _watched(settings: Settings, config: Config, seen: watch.Seen, days: int) -> tuple[Alarm, ...]:
    """The alarms of the newest day; those raised on forecasts with the series that they are worst for."""
    (told,) = watch.alarms_of(seen, config, [days]).values()
    nameless = {one.name for one in told if one.raised and not one.series and core.TOPICS[one.name] == "forecasts"}
    if not nameless:
        return told
    last = seen.sums["ds"].max()
    first = last - config.dataset.season_length * pd.tseries.frequencies.to_offset(config.dataset.freq)
    newest = seen.sums.loc[seen.sums["cutoff"].idxmax()]
    version = str(newest["model_version"]), str(newest["run_id"])
    with store.opened(settings.store_url) as engine:
        worst = store.worst_series(engine, config.dataset.name, version, (first, last), core.WORST)
    names = tuple(worst["unique_id"])
    return tuple(replace(one, series=names) if one.name in nameless else one for one in told)


def _reference(alarm: Alarm) -> AlarmRef:
    threshold = alarm.threshold if math.isfinite(alarm.threshold) else None
    return AlarmRef(
        name=alarm.name,
        raised=alarm.raised,
        figure=alarm.figure,
        threshold=threshold,
        cause=alarm.cause,
        series=alarm.series,
    )


def _headline(sums: pd.DataFrame, days: int) -> dict[str, float]:
    """The ledger's figures over the newest target days, those that are there."""
    newest = sums[sums["ds"].isin(sorted(sums["ds"].unique())[-days:])]
    if newest.empty:
        return {}
    one = ledger.told(newest.assign(of="all"), ["of"]).iloc[0]
    return {name: float(one[name]) for name in FIGURES if math.isfinite(one[name])}


def _write(folder: Path, config: Config, sums: pd.DataFrame, recent: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ledger.told(sums, ["cutoff", "model", "model_version"]).to_csv(folder / WINDOWS, index=False)
    ledger.told(sums, ["cutoff", "step", "ds", *ledger.VERSION]).to_parquet(folder / LEDGER, index=False)
    ledger.told(recent, ["step"]).to_csv(folder / STEPS, index=False)
    if len(recent):
        title, unit = f"{config.dataset.title}: forecasts once their days had come", config.dataset.unit
        report.turned_out(ledger.told(recent, ["ds"]), title, unit, folder / PLOT)
        report.errors_by_step(ledger.told(recent, ["step"]), title, unit, folder / STEPS_PLOT)


def _recorded(settings: Settings, found: MonitoredRef, head: Mapping[str, float], recent: pd.DataFrame) -> MonitoredRef:
    """The same with its run in MLflow, one a day and state of the ledger, in an experiment of its own."""
    where, day = tracker(settings), found.until[:10]
    told = found.model_dump(exclude={"n_new", "n_revised", "run_id", "link"})
    key = content.key("monitor", told, recent.to_csv())
    tags = {"daycast.dataset": found.dataset, "daycast.alarm": str(found.alarm).lower()}
    run_id = tracking.open_run(where, f"{found.dataset}-monitoring", key, f"{found.dataset} {day}", tags, {})
    figures = {**head, "n_rows": float(found.n_rows), "alarm": float(found.alarm)}
    figures |= {f"alarm_{one.name}": one.figure for one in found.alarms if one.figure is not None}
    steps = ledger.told(recent, ["step"]).set_index("step") if len(recent) else None
    by_step = {} if steps is None else {name: steps[name].dropna().to_dict() for name in ("skill", "mae", "bias")}
    tables: dict[str, Any] = {"by_cutoff": ledger.told(recent, ["cutoff", "model", "model_version"])}
    tables |= {} if steps is None else {"by_step": steps.reset_index()}
    pictures = {Path(name).name: Path(name) for name in (found.plot, found.steps_plot) if name is not None}
    note = "\n".join(f"- **{one.name}**{' RAISED' if one.raised else ''}: {one.cause}" for one in found.alarms)
    results = tracking.Results(metrics=figures, by_step=by_step, artifacts=pictures, tables=tables, note=note)
    tracking.record(where, run_id, results)
    tracking.close_run(where, run_id)
    return found.model_copy(update={"run_id": run_id, "link": tracking.link(where, run_id)})
