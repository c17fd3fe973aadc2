"""Content keys of the steps: data version + code + configuration.

A key is known before its step has run (the key of a fit follows from the key of its search, not from what the search
found), so a dry run can tell what is cached.
"""

from __future__ import annotations

from dataclasses import asdict

from daycast.config import UNUSED, Blend, Config, LightGbm, Recurrent
from daycast.config.search import Searchable
from daycast.core import content
from daycast.core.frame import FrameSpec
from daycast.steps import intervals
from daycast.steps.reference import DataRef, FoldRef, Piece, RunRef

# What a forecast depends on; prose, the command line and most adapters are left out on purpose.
TABLE = ("core", "steps/data.py", "steps/mapped.py")
ARRAYS = (*TABLE, "models/recipe.py", "steps/transform.py", "steps/window.py")
STEPS = (
    *("steps/forecaster.py", "steps/search.py", "steps/pieces.py", "steps/tune.py", "steps/judge.py", "steps/blend.py"),
    *("steps/fit.py", "steps/backtest.py", "steps/intervals.py"),
)
MAKING = (*ARRAYS, "models", "adapters/search", *STEPS)


def _data(config: Config, data: DataRef) -> list[object]:
    # The meaning of the frame's columns too: a season's length leaves the bytes of the data as they are.
    seen = [] if data.as_of is None else [data.as_of]
    return [data.version, asdict(config.dataset.spec()), *seen]


def _basis(config: Config, data: DataRef, name: str) -> list[object]:
    model = config.model[name]
    trained = [config.seed] if isinstance(model, (Recurrent, LightGbm)) else []
    trained += [config.trainer] if isinstance(model, Recurrent) else []
    return [content.code(*MAKING), *_data(config, data), model, *trained]


def _folds(config: Config, *fields: str) -> dict[str, object]:
    return {field: getattr(config.backtest, field) for field in fields}


def table(spec: FrameSpec, data: DataRef) -> str:
    """Key of a data version as arrays, whatever may be seen of it."""
    return content.key("table", content.code(*TABLE), data.version, asdict(spec))


FITTING = ("horizon", "n_targets", "first_target", "last_target", "fit_cutoff", "start")


def arrays(config: Config, data: DataRef, fold: FoldRef, model: Recurrent) -> str:
    """Key of one fold's transformed arrays for one recipe."""
    recipe: list[object] = [model.transforms, model.inputs, model.train_steps, model.known]
    if model.profile is not None:  # its analogs must lie a horizon back
        recipe += [model.profile, model.clip, model.steps(fold.horizon)]
    return content.key("arrays", content.code(*ARRAYS), *_data(config, data), fold.start, fold.fit_cutoff, recipe)


def starts(config: Config, data: DataRef, fold: FoldRef, model: Recurrent) -> str:
    """Key of the window starts over such arrays."""
    return content.key("starts", arrays(config, data, fold, model), model.lookback, model.steps(fold.horizon))


def transform(config: Config, data: DataRef, name: str) -> str:
    """Key of all folds' arrays for a model as it is configured."""
    return content.key("transform", _basis(config, data, name), _folds(config, *FITTING, "n_folds", "fold_targets"))


def window(config: Config, data: DataRef, name: str) -> str:
    """Key of all folds' window starts for a model as it is configured."""
    return content.key("window", transform(config, data, name))


def seeds(config: Config, name: str) -> int:
    """How many networks are averaged; 1 of a model that is none."""
    return config.tuning.seeds if isinstance(config.model[name], Recurrent) else 1


def search(config: Config, data: DataRef, name: str) -> str:
    """Key of a model's search: more networks to average need no other one."""
    model = config.model[name]
    searched = isinstance(model, Searchable) and model.space(config.tuning.n_trials)
    tuning = config.tuning.model_dump(mode="json", exclude={"name", "seeds"}) if searched else None
    folds = _folds(config, *FITTING, "step_size", "n_folds", "fold_targets", "series", "metric")
    made_of = [tune(config, data, member) for member in model.members] if isinstance(model, Blend) else []
    parts = [folds, tuning, searched and config.seed, made_of]
    levels = intervals.learned(config, name)  # of its rows
    return content.key("search", _basis(config, data, name), *parts, *([levels] if levels else []))


def part(config: Config, data: DataRef, name: str, piece: Piece) -> str:
    """Key of a piece of a model's fits by the parameters that its search comes to."""
    return content.key("part", search(config, data, name), piece)


def tune(config: Config, data: DataRef, name: str) -> str:
    """Key of a search's outcome, with the rows of the validation folds."""
    return content.key("tune", search(config, data, name), seeds(config, name))


def fit(config: Config, data: DataRef, name: str) -> str:
    """Key of a model's final fit."""
    model = config.model[name]
    made_of = [fit(config, data, member) for member in model.members] if isinstance(model, Blend) else []
    return content.key("fit", tune(config, data, name), made_of)


def backtest(config: Config, data: DataRef, name: str) -> str:
    """Key of a model's forecasts of the test fold."""
    chosen = config.backtest.intervals
    unused = {"rate", "window"} if chosen.method == "split" else set()
    unused |= {"scale"} if intervals.headed(config, name) else {"source"}
    return content.key("backtest", fit(config, data, name), chosen.model_dump(mode="json", exclude=unused))


def compare(config: Config, data: DataRef) -> str:
    """Key of the leaderboard over all models of a run."""
    made = [[name, backtest(config, data, name)] for name in sorted(config.model)]
    judging = ("compare", "verdict", "metrics", "bootstrap", "significance")
    code = content.code(*(f"core/{name}.py" for name in judging))
    return content.key("compare", code, made, config.promotion)


def run(config: Config, data: DataRef) -> str:
    """Key of a whole run: the same data, code and configuration are the same run."""
    return content.key("run", compare(config, data), config.model_dump(mode="json", exclude=set(UNUSED)))


def alerts(config: Config, data: DataRef, name: str) -> str:
    """Key of one model's probabilities of low days; the threshold and whose alerts count change none of them."""
    alert, folds = config.alert, _folds(config, *FITTING, "step_size")
    own: list[object] = [alert.logistic] if name == "logistic" else []
    if name == "network":
        own += [alert.network, alert.seeds, config.seed, config.trainer]
    code = content.code(*ARRAYS, "models", "steps/alerts.py")
    return content.key("alerts", name, code, *_data(config, data), folds, alert.low, own)


def record(run: RunRef, tested: str) -> str:
    """Key of a model's log in a run: another run logs the same result anew."""
    return content.key("record", run.run_id, tested)
