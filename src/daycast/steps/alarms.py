"""alarms: which alarms there would have been on each day of a range, by the forecasts that the store has."""

from __future__ import annotations

from datetime import date

import pandas as pd

from daycast.adapters import report
from daycast.config import Config
from daycast.core import alarms as core
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import ledger as ledger_step
from daycast.steps import watch
from daycast.steps.data import arrays
from daycast.steps.outcomes import AlarmsRef
from daycast.steps.reference import DataRef

DAYS, EPISODES, PLOT = "alarms.csv", "episodes.csv", "alarms.png"
DRAWN = ("error", "coverage", "drift", "skill")


def alarms(settings: Settings, config: Config, data: DataRef, first: date) -> AlarmsRef:
    """Each day's alarms from ``first`` to the newest observation, as the monitoring of that day would have had them.

    Of each day nothing later is used: the ledger's rows and observations up to it, and of the reference what lies
    before. Observations are taken to have come on the next day; how late they really came, the data don't say.

    Raises:
        ConfigError: no observation lies in the range.
    """
    dataset = config.dataset
    panel = arrays(settings, dataset.spec(), data).panel
    days = panel.ds[panel.ds >= pd.Timestamp(first)]
    if not len(days):
        raise ConfigError(f"a day up to {panel.cutoff.date()}", str(first), "give an earlier one")
    ledger_step.keep(settings, config, panel, data.version)
    sums = ledger_step.read(settings, dataset, panel.cutoff)
    found = watch.alarms_of(watch.seen(panel, sums, config.monitoring, len(days)), config, [0] * len(days))
    rows = pd.DataFrame(
        [
            {"day": day, "alarm": one.name, "raised": one.raised, "figure": one.figure, "cause": one.cause}
            for day, told in found.items()
            for one in told
        ]
    )
    on = rows.groupby("day")["raised"].any()
    stretches = core.episodes(on, config.monitoring.calm_days)
    raised = rows[rows["raised"]]
    stretches["alarms"] = [
        ", ".join(raised.loc[raised["day"].between(began, last), "alarm"].drop_duplicates())
        for began, last in zip(stretches["began"], stretches["last"], strict=True)
    ]
    folder = settings.state / "monitoring" / dataset.name / f"alarms-{first}-{panel.cutoff.date()}"
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / DAYS, index=False)
    stretches.to_csv(folder / EPISODES, index=False)
    figures = {name: (_figures(rows, name), _threshold(config, name)) for name in DRAWN}
    title = f"{dataset.title}: alarms of each day, from what was known on it"
    report.raised(stretches, figures, title, folder / PLOT)
    return AlarmsRef(
        dataset=dataset.name,
        first=str(days[0].date()),
        last=str(days[-1].date()),
        days=str(folder / DAYS),
        episodes=str(folder / EPISODES),
        plot=str(folder / PLOT),
    )


def _figures(rows: pd.DataFrame, name: str) -> pd.Series[float]:
    own = rows[rows["alarm"] == name]
    return pd.Series(own["figure"].to_numpy(float), index=pd.DatetimeIndex(own["day"]))


def _threshold(config: Config, name: str) -> float:
    rule = config.monitoring
    own = {"error": rule.error.limit, "coverage": rule.coverage.limit, "drift": rule.drift.share}
    return own.get(name, float(rule.skill.at_least))
