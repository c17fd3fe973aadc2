"""monitor: how the forecasts in the store turned out."""

from __future__ import annotations

import pandas as pd

from daycast.adapters import registry, report, store
from daycast.config import Config
from daycast.core import monitor as core
from daycast.settings import Settings
from daycast.steps.data import arrays
from daycast.steps.data import seen as observed
from daycast.steps.outcomes import MonitoredRef
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL

JUDGED = ("unique_id", "cutoff", "ds", "step", "y_hat", "model_version", "made_at")  # columns of the store


def monitor(settings: Settings, config: Config, data: DataRef) -> MonitoredRef:
    """Judge every forecast whose days have come; the newest windows decide on an alarm. Nothing is changed.

    Raises:
        ToolError: the store can't be read.
    """
    dataset, rule = config.dataset, config.monitoring
    spec = dataset.spec()
    until = arrays(settings, spec, data).panel.cutoff
    with store.opened(settings.store_url) as engine:
        made = store.read_forecasts(engine, dataset.name, JUDGED)
    season = dataset.season_length * pd.tseries.frequencies.to_offset(dataset.freq)
    first = made["cutoff"].min() if len(made) else until
    actuals = observed(settings, data, spec, min(first, until) - season)
    rows = core.matured(made[_foresight(settings, dataset.name, made)], actuals, dataset.season_length, dataset.freq)
    found = core.windows(rows)
    verdict = core.judged(found, rule.windows, rule.at_least)
    folder = settings.state / "monitoring" / dataset.name / str(until.date())
    folder.mkdir(parents=True, exist_ok=True)
    found.to_csv(folder / "windows.csv", index=False)
    if len(found):
        report.realised(
            found, f"{dataset.title}: forecasts once their days had come", dataset.unit, folder / "skill.png"
        )
    newest = found.tail(rule.windows)
    return MonitoredRef(
        dataset=dataset.name,
        until=until.isoformat(),
        n_rows=len(rows),
        n_windows=len(found),
        mae=None if newest.empty else float(newest["mae"].mean()),
        skill=None if newest.empty else float(1 - newest["mae"].mean() / newest["naive_mae"].mean()),
        alarm=verdict.raised,
        reason=verdict.reason,
        windows=str(folder / "windows.csv"),
        plot=str(folder / "skill.png") if len(found) else None,
    )


def _foresight(settings: Settings, dataset: str, made: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are of versions that had seen nothing after their cutoffs: others tell nothing of how they forecast.

    `daycast forecast --as-of` makes such rows. A version that is gone, or does not say, is believed.
    """
    found = registry.versions(settings.tracking_uri, registry.model_name(dataset))
    until = {v.number: pd.Timestamp(v.tags[DATA_UNTIL]) for v in found if DATA_UNTIL in v.tags}
    seen = pd.to_datetime(made["model_version"].map(until))
    return seen.isna() | (seen <= made["cutoff"])
