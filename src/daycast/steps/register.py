"""Make versions of the dataset's registered model out of fitted candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from daycast.adapters import registry, tracking
from daycast.config import Config
from daycast.core import card as core
from daycast.core import parts
from daycast.core.frame import Panel
from daycast.errors import ToolError
from daycast.settings import Settings
from daycast.steps import blend, card, compare, fit, intervals, keys, serving
from daycast.steps.backtest import OFFSETS, ROWS
from daycast.steps.data import seen, table
from daycast.steps.record import tracker
from daycast.steps.reference import BacktestRef, BoardRef, DataRef, RunRef, TunedRef, VersionRef

REGISTERED = {"daycast.registered": "1"}  # of a run whose winner has a version
DATA_UNTIL = "daycast.data_until"  # tag of a version: the last observation that its fit, choice or bands have seen
SCORED_FROM = (
    "daycast.scored_from"  # tag of a version: the first origin of its backtest, which its fit ended before or at
)
BASELINE = "daycast.baseline"  # tag of a version: it is a naive one
CHALLENGER = "challenger"  # alias
VERSIONS = "versions.json"  # artifact of the run: which versions came of it
CODE = Path(__file__).with_name("served_model.py")
LIBRARIES = {  # family -> packages that its forecasts need
    "recurrent": ("torch",),
    "lightgbm": ("lightgbm",),
    "sarima": ("statsmodels",),
    "auto_arima": ("statsmodels",),
    "auto_ets": ("statsforecast",),
    "mstl": ("statsforecast", "statsmodels"),
}
EXAMPLE_SERIES = 20
EXAMPLE_SEASONS = 4  # history in the stored example beyond what the model needs


def when(tags: Mapping[str, str], tag: str) -> pd.Timestamp | None:
    """The timestamp of data that a version's tag tells; ``None`` where there is none, as tags are edited in MLflow."""
    told = pd.to_datetime(tags.get(tag), errors="coerce")
    return told if isinstance(told, pd.Timestamp) and told.tzinfo is None else None


def register(
    settings: Settings, config: Config, data: DataRef, run: RunRef, board: BoardRef, tuned: list[TunedRef]
) -> VersionRef:
    """Register the winner, the leading candidate (no naive baseline) whether it won or not, and the best baseline.

    A version is uploaded, loaded back and compared with the forecaster before it exists. The candidate becomes
    challenger, unless it is of a past day and another has seen later ones, and those that did not win say why; what is
    returned is the winner's.

    Raises:
        ModelError: a version does not forecast as its forecaster did.
        ToolError: a model's run is not in MLflow any more.
    """
    ranked, decision = compare.read(settings, board)
    candidates = [name for name in ranked["model"] if name not in compare.baselines(config)][:1]
    searched = {t.model: t for t in tuned}
    versions = {}
    for name in dict.fromkeys([*candidates, decision.baseline, decision.winner]):
        text = card.written(settings, config, data, run, ranked, searched[name])
        with TemporaryDirectory(prefix="daycast-register-") as room:  # the cache is shared with other runs
            versions[name] = _version(settings, config, data, run, searched[name], text, Path(room))
    for name in candidates:
        _challenge(settings, data, versions[name])
    repeated = is_registered(settings, run)
    for name in versions.keys() - {decision.winner}:
        card.not_proposed(settings, run.run_id, versions[name], decision, repeated=repeated)
    told = {name: v.model_dump() for name, v in versions.items()}
    tracking.put(tracker(settings), run.run_id, {VERSIONS: json.dumps(told, indent=1)})
    tracking.tag(tracker(settings), run.run_id, REGISTERED)
    return versions[decision.winner]


def is_registered(settings: Settings, run: RunRef) -> bool:
    """Whether the run got as far as to register its winner."""
    return REGISTERED.items() <= tracking.find(tracker(settings), run.run_id).tags.items()


def _challenge(settings: Settings, data: DataRef, candidate: VersionRef) -> None:
    """Let the alias ``challenger`` name a candidate."""
    now = registry.by_alias(settings.tracking_uri, candidate.name, CHALLENGER)
    own = registry.find(settings.tracking_uri, candidate.name, candidate.version)
    # ISO; a version that does not say may have seen anything
    later = now is not None and own is not None and now.tags.get(DATA_UNTIL, "9") > own.tags[DATA_UNTIL]
    if data.as_of is None or not later:
        registry.set_alias(settings.tracking_uri, candidate.name, CHALLENGER, candidate.version)


def _version(
    settings: Settings, config: Config, data: DataRef, run: RunRef, tuned: TunedRef, text: str, room: Path
) -> VersionRef:
    tested = BacktestRef(model=tuned.model, key=keys.backtest(config, data, tuned.model))
    model = settings.cache("fit", keys.fit(config, data, tuned.model)) / fit.MODEL
    horizon, spec = config.backtest.horizon, config.dataset.spec()
    rows = settings.cache("backtest", tested.key) / ROWS
    offsets = pd.read_parquet(rows.with_name(OFFSETS))
    panel = table(settings, config, data).panel
    folder = room / "artifacts"
    folder.mkdir()
    headed = intervals.headed(config, tuned.model)
    told = serving.write(folder / "serving.json", spec, panel.ids, offsets, headed=headed)
    served = serving.read(model, told)
    # Some series are example enough, if the forecaster is one that needs not have all.
    few = panel.only(panel.ids[:EXAMPLE_SERIES]) if served.forecaster.takes_new_series else panel
    since = _example_start(few, served.forecaster.min_history)
    inputs = serving.inputs(seen(settings, data, spec, since, few.ids), spec, panel.cutoff, horizon)
    about = folder / card.FILE
    about.write_text(text, encoding="utf-8")
    candidate = registry.Candidate(
        code=CODE,
        files={"forecaster": model, "serving": told, "card": about},
        example=registry.Example(inputs, horizon, serving.forecast(served, inputs, horizon)),
        libraries=_libraries(config, tuned.model),
        summary=core.short(text, card.LONGEST),
    )
    children = {c.tags["daycast.model"]: c.run_id for c in tracking.children(tracker(settings), run.run_id)}
    if tuned.model not in children:
        raise ToolError(
            f"the run of {tuned.model} inside run {run.run_id} of MLflow",
            "none: it was deleted",
            f"restore it in MLflow, or delete {settings.cache('record', '')} and run again",
        )
    tags = {
        **run.lineage.tags(),
        "daycast.model": tuned.model,
        "daycast.horizon": str(horizon),
        "daycast.backtest": config.backtest.name,
        DATA_UNTIL: panel.cutoff.isoformat(),
        SCORED_FROM: pd.read_parquet(rows, columns=["cutoff"])["cutoff"].min().isoformat(),
        **({BASELINE: "1"} if config.model[tuned.model].baseline else {}),
    }
    name = registry.model_name(data.dataset)
    made = registry.register(settings.tracking_uri, name, children[tuned.model], tested.key, candidate, tags)
    card.begin(settings, made, text)
    return VersionRef(name=name, version=made.number, model=tuned.model)


def _example_start(panel: Panel, min_history: int) -> pd.Timestamp:
    """As late as the model allows, but early enough that every series, also one closed long ago, has an observation."""
    needed = min_history + EXAMPLE_SEASONS * panel.spec.season_length
    since_seen = max(int(np.isfinite(panel.y[some, ::-1]).argmax(axis=1).max()) for some in parts.rows(len(panel.ids)))
    return panel.ds[max(0, len(panel.ds) - max(needed, since_seen + 1))]


def _libraries(config: Config, name: str) -> tuple[str, ...]:
    """Packages that a model's forecasts need, those of a blend's members among them."""
    made_of = blend.members(config, name) or (name,)
    return tuple(sorted({library for m in made_of for library in LIBRARIES.get(config.model[m].family, ())}))
