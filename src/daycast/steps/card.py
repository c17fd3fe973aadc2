"""The card of a version: written when it is registered, and again when the gate has judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import pandas as pd
import yaml

from daycast import models
from daycast.adapters import registry, tracking
from daycast.config import Config
from daycast.core import backtest, events, metrics
from daycast.core import card as core
from daycast.core.gate import Check
from daycast.core.verdict import Decision
from daycast.errors import ToolError
from daycast.settings import Settings
from daycast.steps import compare, fit, judge, keys
from daycast.steps.data import table
from daycast.steps.forecaster import with_parameters
from daycast.steps.record import tracker
from daycast.steps.reference import BacktestRef, DataRef, FoldRef, RunRef, TunedRef, VersionRef
from daycast.steps.split import split

FILE = "card.md"  # artifact of the model's run
LONGEST = 5000  # characters of a description that MLflow's table holds
LEVELS = 12  # of a categorical column up to which its levels are kinds of days
SEEDS = "seeds.json"
# Tags of version and run: passed or refused, and why; of a version that its leaderboard stopped, not proposed.
VERDICT, REASON = "daycast.gate", "daycast.gate_reason"


@dataclass(frozen=True)
class Verdict:
    """What the gate said of a version of the registered model ``name``."""

    name: str
    sentence: str
    passed: bool
    checks: tuple[Check, ...]


def written(
    settings: Settings, config: Config, data: DataRef, run: RunRef, ranked: pd.DataFrame, tuned: TunedRef
) -> str:
    """The card of a run's model, in Markdown."""
    name, fold = tuned.model, split(settings, config, data).test
    tested = BacktestRef(model=name, key=keys.backtest(config, data, name))
    rows = judge.scored(config, compare.rows(settings, tested))
    whole = table(settings, config, data)
    scales = judge.scales(config, whole, fold)
    line = ranked.set_index("model").loc[name]
    metric = config.backtest.metric
    model = with_parameters(config.model[name], tuned.parameters)
    told = core.Card(
        title=f"{name} of {data.dataset}",
        summary=f"Number {int(line['rank'])} of {len(ranked)} models in backtest {config.backtest.name}: "
        f"{metric} {core.figure(line[metric])}.",
        data=_data(settings, config, data, fold),
        protocol=_protocol(config, fold, tuned),
        model=yaml.safe_dump(model.model_dump(mode="json", exclude={"search"}, exclude_none=True), sort_keys=False),
        board=ranked,
        name=name,
        baselines=frozenset(compare.baselines(config)),
        by_step=metrics.score(rows, scales).by_step,
        weak=core.weak_spots(rows, _kinds(settings, config, data, rows)),
        metric=metric,
        seeds=_seeds(settings, config, data, fold, tuned),
        seeds_metric=_point(config),
        commands={
            "train it again, and compare every figure": f"daycast reproduce-run {run.run_id}",
            "its data, back in the workspace": f"daycast data restore --run {run.run_id}",
            "its code": f"git checkout {run.git_commit.removesuffix('-dirty')}",
        },
    )
    return core.markdown(told)


def begin(settings: Settings, version: registry.Version, text: str) -> None:
    """Log a new version's card with the run of its model; that of a version that was there before stays."""
    try:
        tracking.text(tracker(settings), version.run_id, FILE)
    except ToolError:
        log(settings, version.run_id, text)


def judged(settings: Settings, run_id: str | None, number: str, verdict: Verdict) -> None:
    """Write down on a version, its card, its model's run and the pipeline run what the gate said; twice is as once.

    Args:
        run_id: of the pipeline run; ``None`` if that tells of another version, its winner.
    """
    where = tracker(settings)
    version = registry.find(settings.tracking_uri, verdict.name, number)
    if version is None:
        return
    text = core.judged(_before(settings, version), verdict.sentence, verdict.checks)
    log(settings, version.run_id, text)
    failed = "; ".join(f"{check.name}: {check.reason}" for check in verdict.checks if not check.passed)
    told = "every check passed" if verdict.passed else verdict.sentence  # refused by something past the checks
    said = {VERDICT: "passed" if verdict.passed else "refused", REASON: (failed or told)[:LONGEST]}
    registry.tag(settings.tracking_uri, version.name, number, said, core.short(text, LONGEST))
    if run_id is None:
        return
    note = core.judged(tracking.find(where, run_id).tags.get(tracking.NOTE, ""), verdict.sentence, verdict.checks)
    tracking.describe(where, run_id, core.short(note, LONGEST))
    tracking.tag(where, run_id, said)


def not_proposed(
    settings: Settings, run_id: str, told: VersionRef, decision: Decision, *, repeated: bool = False
) -> None:
    """Write down on a version, its card and its model's run why the leaderboard did not propose it to the gate.

    Args:
        run_id: of the pipeline run.
        repeated: whether that had registered before; then what stands on the version is as new, or newer.
    """
    version = registry.find(settings.tracking_uri, told.name, told.version)
    if version is None or (repeated and VERDICT in version.tags):
        return
    own, verdict = decision.about(told.model), decision.reasons[-1]
    text = core.not_proposed(_before(settings, version), f"Not proposed to the gate by run {run_id}: {verdict}.", own)
    log(settings, version.run_id, text)
    said = {VERDICT: "not proposed", REASON: "; ".join([*own, verdict])[:LONGEST]}
    registry.tag(settings.tracking_uri, version.name, version.number, said, core.short(text, LONGEST))


def moved(settings: Settings, version: registry.Version, lines: Sequence[str], tags: Mapping[str, str]) -> None:
    """Write down on a version and its card when it became and ceased to be champion, and why.

    Args:
        tags: of the version, that say so too.
    """
    text = core.moved(_before(settings, version), lines)
    registry.tag(settings.tracking_uri, version.name, version.number, tags, core.short(text, LONGEST))
    log(settings, version.run_id, text)  # after the tags, as the run may be deleted


def _before(settings: Settings, version: registry.Version) -> str:
    try:
        return tracking.text(tracker(settings), version.run_id, FILE)
    except ToolError:  # of a version from before there were cards
        return f"# {version.tags.get('daycast.model', version.name)}\n"


def log(settings: Settings, run_id: str, text: str) -> None:
    """Keep a card with the model's run, and show it as the run's description."""
    tracking.put(tracker(settings), run_id, {FILE: text})
    tracking.describe(tracker(settings), run_id, core.short(text, LONGEST))


def _data(settings: Settings, config: Config, data: DataRef, fold: FoldRef) -> dict[str, object]:
    panel, columns = table(settings, config, data).panel, config.dataset.spec()
    return {
        "dataset": f"{config.dataset.title} ({config.dataset.unit}), {len(panel.ids):,} series, freq {columns.freq}",
        "version": f"`{data.version}` (DVC's MD5 of the canonical frame)",
        "observed": f"{panel.ds[0]:%Y-%m-%d} .. {panel.cutoff:%Y-%m-%d}",
        "fitted on": f"{fold.start or panel.ds[0].isoformat()} .. {fold.fit_cutoff}".replace("T00:00:00", ""),
        "known ahead": ", ".join(columns.known) or "nothing",
        "past covariates": ", ".join(columns.past),
        "static covariates": ", ".join(columns.static),
    }


def _protocol(config: Config, fold: FoldRef, tuned: TunedRef) -> dict[str, object]:
    judged = config.backtest
    searched = f"{tuned.n_trials} trials, {tuned.n_pruned} of them pruned" if tuned.study else "nothing searched"
    return {
        "backtest": f"{judged.name}: {len(fold.cutoffs)} rolling origins, {fold.cutoffs[0][:10]} .. "
        f"{fold.cutoffs[-1][:10]}, {fold.horizon} steps each, fitted once before the first",
        "judged by": judged.metric,
        "hyperparameters": f"{config.tuning.name}: {searched}; {judged.metric} {core.figure(tuned.value)} on "
        f"{judged.n_folds} validation folds before the backtest",
        "seed": config.seed,
    }


def _kinds(settings: Settings, config: Config, data: DataRef, rows: pd.DataFrame) -> pd.DataFrame:
    """What kind of day each target is: its weekday, its event, and levels of what is known ahead."""
    whole, spec, calendar = table(settings, config, data), config.dataset.spec(), config.dataset.calendar
    ds = pd.DatetimeIndex(sorted(rows["ds"].unique()))
    found = pd.DataFrame(index=ds)
    if spec.freq == "D":
        found["weekday"] = ds.strftime("%a")
    if calendar.events:
        every = whole.panel.ds  # a rule's holiday has to be among them
        labels = pd.Series(events.labels(every, calendar.rules(), calendar.country, calendar.subdivision), every)
        found["event"] = labels.reindex(ds).replace(events.NONE, "")
        found["day"] = np.where(found["event"] != "", "of an event", "")
    known = pd.DataFrame(whole.panel.known, index=whole.panel.ds, columns=list(whole.panel.known_names)).reindex(ds)
    zero = pd.Series(0.0, ds)
    for column, levels in spec.known.items():
        counted = levels is None or any(level[:1].isdigit() for level in levels)  # such as days to a holiday
        if not counted and len(levels or ()) <= LEVELS and column not in ("day_of_week", "event"):
            flags = np.array([known.get(f"{column}={level}", zero).to_numpy() == 1 for level in levels or ()])
            told = np.asarray([level if level != events.NONE else "" for level in levels or ()])
            found[column] = np.where(flags.any(axis=0), told[flags.argmax(axis=0)], "")
    return found


def _point(config: Config) -> str:
    """What a network by itself is scored by: it has no intervals yet."""
    return "mase" if config.backtest.metric in metrics.BANDS else config.backtest.metric


def _seeds(settings: Settings, config: Config, data: DataRef, fold: FoldRef, tuned: TunedRef) -> list[float]:
    """The backtest's score of each network that is averaged; kept, as it takes as long as the backtest."""
    folder = settings.cache("register", keys.backtest(config, data, tuned.model))
    if (folder / SEEDS).is_file():
        return list(json.loads((folder / SEEDS).read_text()))
    made = models.load(settings.cache("fit", keys.fit(config, data, tuned.model)) / fit.MODEL)
    whole = table(settings, config, data)
    scales = judge.scales(config, whole, fold)
    scores = []
    for member in getattr(made, "members", ()):
        rows = backtest.with_actuals(backtest.forecasts(member, whole, fold.fold()), whole)
        scores.append(metrics.score(judge.scored(config, rows), scales).overall[_point(config)])
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{SEEDS}-{uuid4().hex}"  # another run may read it meanwhile
    part.write_text(json.dumps(scores))
    part.replace(folder / SEEDS)
    return scores
