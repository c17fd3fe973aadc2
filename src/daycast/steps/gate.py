"""The gate: a run's winner and the champion, check by check."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pandas as pd

from daycast.adapters import registry, tracking
from daycast.config import Config
from daycast.config.promotion import Championship
from daycast.core import gate, metrics
from daycast.core.gate import Check
from daycast.errors import DataError, unanswered
from daycast.settings import Settings
from daycast.steps import prove, rescore
from daycast.steps.champion import HORIZON
from daycast.steps.compare import baselines
from daycast.steps.data import age, arrays, in_force, table
from daycast.steps.progress import emit
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL
from daycast.steps.rescore import OWN, Asked


def judged(settings: Settings, config: Config, data: DataRef, asked: Asked) -> list[Check]:
    """All checks of ``promotion.champion`` on a challenger; one that could not be made is one that failed.

    Raises:
        ToolError: a tool failed or is down.
    """
    wanted = config.promotion.champion
    assert wanted is not None
    naive_ones = baselines(config)
    # The winner was chosen on days that it is judged by here: each model that might have been has its share of chance.
    limits = wanted.limits(max(1, sum(name not in naive_ones for name in config.model)))
    out: list[Check] = []

    def check(name: str, make: Callable[[], Iterable[Check]]) -> None:
        emit("promote", name, 0, 1, "running")
        try:
            out.extend(make())
        except Exception as error:  # whatever it is, it must not let a model through
            if unanswered(error):  # a server that is down says nothing of the model: the task is tried again
                raise
            out.append(Check(name, False, None, None, f"{type(error).__name__}: {error}"))
        emit("promote", name, 1, 1, "done")

    check("data validated", lambda: _validated(settings, asked.run_id))
    check("age of data", lambda: _young(settings, config, data, asked.challenger))
    check("loads and repeats itself", lambda: _proven(settings, asked.challenger, wanted))
    naive = asked.challenger.tags["daycast.model"] in naive_ones
    if naive and asked.champion is None:  # somebody has to serve, and it has won over the others
        return out
    check("coverage", lambda: [gate.covered(_coverage(settings, asked.challenger), limits)])
    scored: dict[str, pd.DataFrame] = {}
    check("forecasts at recent origins", lambda: rescore.scored(settings, config, data, asked, scored))
    if OWN not in scored:
        return out
    own = scored.pop(OWN)
    check("intervals as served", lambda: [gate.intervals(own, limits)])
    metric = config.backtest.metric
    # Quantiles of a version have seen these days, by the offsets of its intervals.
    metric = "mase" if metric in metrics.BANDS else metric
    if wanted.refit is not None:
        check("fitted on what it says", lambda: rescore.refitted(settings, config, data, asked, own))
    scales: dict[str, float] = {}

    def scaled() -> list[Check]:
        scales.update(rescore.scales(config, table(settings, config, data), own))
        return []

    check("scales", scaled)
    champion = asked.champion
    if champion is not None and (name := rescore.named(champion)) in scored:  # one that forecasts
        other = scored.pop(name)
        check("horizon", lambda: [_as_far(asked.challenger, champion)])
        check("better than the champion", lambda: gate.against(name, own, other, scales, metric, limits))
        check("nowhere much worse", lambda: gate.nowhere_much_worse(own, other, scales, limits))
    if not naive:
        check("better than the baselines", lambda: gate.over_baselines(own, scored, scales, metric))
    return out


def _validated(settings: Settings, run_id: str) -> list[Check]:
    report = json.loads(tracking.text(tracker(settings), run_id, "validation.json"))
    failed = [c["expectation"] if "expectation" in c else str(c) for c in report["checks"] if not c["success"]]
    told = f"{len(report['checks']) - len(failed)} of {len(report['checks'])} expectations met"
    return [Check("data validated", bool(report["checks"]) and not failed, None, None, told)]


def _young(settings: Settings, config: Config, data: DataRef, version: registry.Version) -> list[Check]:
    """Whether newer data have come meanwhile, and where the dataset says how old they may be, whether it is today."""
    wanted, most = config.promotion.champion, config.dataset.contract.max_age_days
    assert wanted is not None
    seen = pd.Timestamp(version.tags[DATA_UNTIL])
    try:
        now_known = in_force(settings, data.dataset).until(data.day)
    except DataError:  # another machine than the one that prepares
        now_known = data
    newest = arrays(settings, config.dataset.spec(), now_known).panel.cutoff
    behind = (newest - seen) / pd.Timedelta(days=1)
    told = f"trained on data up to {seen}, {behind:g} days before the newest, {wanted.days_behind:g} allowed"
    out = [Check("age of data", behind <= wanted.days_behind, behind, wanted.days_behind, told)]
    if most is not None:
        old = age(config, data, newest)
        out.append(Check("newest data", old <= most, float(old), float(most), f"{old} days old, {most} allowed"))
    return out


def _proven(settings: Settings, version: registry.Version, wanted: Championship) -> list[Check]:
    found = prove.prove(settings, version.name, version.number)
    size, took = found.megabytes, found.seconds
    return [
        Check("loads and repeats itself", True, None, None, "in a fresh process, on a CPU"),
        Check(
            "size", size <= wanted.megabytes, size, wanted.megabytes, f"{size:,.1f} MB, {wanted.megabytes:g} allowed"
        ),
        Check("latency", took <= wanted.seconds, took, wanted.seconds, f"{took:.2f} s, {wanted.seconds:g} allowed"),
    ]


def _as_far(version: registry.Version, champion: registry.Version) -> Check:
    """Whether it forecasts as far ahead: days that nobody forecasts any more are missed without a word."""
    own, asked = int(version.tags[HORIZON]), int(champion.tags[HORIZON])
    told = f"{own} steps ahead, {rescore.named(champion)} forecasts {asked}"
    return Check("horizon", own >= asked, float(own), float(asked), told)


def _coverage(settings: Settings, version: registry.Version) -> float | None:
    # Of its backtest, whose intervals were issued day by day; those of now have seen these days.
    return tracking.find(tracker(settings), version.run_id).metrics.get("coverage_80")
