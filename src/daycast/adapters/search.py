"""Hyperparameter search by Optuna: propose, prune, remember the study. It knows nothing of folds or models."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daycast.config import Tuning
from daycast.config.search import Choice, IntRange, Space

if TYPE_CHECKING:
    import optuna

Report = Callable[[int, float], None]
"""Called with (step, value so far, lower is better); raises ``TrialPruned`` when the trial is not worth going on."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its number from 0, ``complete``, ``pruned`` or ``failed``, its parameters, value and curve by step."""

    number: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    curve: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchResult:
    """What a search found: the best trial, and all that ended."""

    best: TrialRecord
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes:
        evaluate: called with (parameters, report, trial number); returns the value, lower is better.
        space: parameter -> what to search.
        start: the configured values of those parameters, tried first.
        segment: steps of the curve after which it starts anew, on another fold; values are compared within one only.
    """

    evaluate: Callable[[dict[str, Any], Report, int], float]
    space: Mapping[str, Space]
    start: Mapping[str, Any]
    segment: int


def search(
    url: str,
    study_name: str,
    objective: Objective,
    tuning: Tuning,
    seed: int,
    on_trial: Callable[[int, int, float | None], None] | None = None,
) -> SearchResult:
    """Run trials until ``tuning.n_trials`` are finished, counting those of earlier, interrupted calls.

    The study lives at ``url`` under ``study_name``; calling again after a kill takes it up where it stood. A trial
    whose process died is marked failed by its missing heartbeat and its parameters are tried again.

    Args:
        on_trial: called with (finished, of how many, best value so far or None).

    Raises:
        Whatever ``evaluate`` raises, except ``TrialPruned``.
    """
    with _storage(url) as storage:
        study = _study(storage, study_name, tuning, seed, objective.segment)
        if all(t.state.name == "FAIL" for t in study.trials):  # also where the first one failed and was mended since
            study.enqueue_trial(dict(objective.start))

        def evaluate(trial: optuna.Trial) -> float:
            import optuna

            parameters = {name: _suggest(trial, name, space) for name, space in objective.space.items()}

            def report(step: int, value: float) -> None:
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned(
                        f"trial {trial.number} at step {step}: {value:.4g} is worse than the median"
                    )

            return objective.evaluate(parameters, report, trial.number)

        def tell(*_: Any) -> None:
            finished = _finished(study)
            if on_trial is not None:
                best = min(
                    (t.value for t in finished if t.value is not None and t.state.name == "COMPLETE"), default=None
                )
                on_trial(len(finished), tuning.n_trials, best)

        missing = tuning.n_trials - len(_finished(study))
        tell()
        if missing > 0:
            study.optimize(evaluate, n_trials=missing, callbacks=[tell])
        ended = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]  # a killed one runs on paper
        return SearchResult(_record(study.best_trial), tuple(_record(t) for t in ended))


def importances(url: str, study_name: str) -> dict[str, float]:
    """Share of each parameter in the variance of the value (fANOVA), largest first; empty where it can't be told."""
    import optuna

    with _storage(url) as storage:
        study = optuna.load_study(study_name=study_name, storage=storage)
        complete = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if len(complete) < 4 or len({t.value for t in complete}) < 2:
            return {}
        return dict(optuna.importance.get_param_importances(study))


@contextmanager
def _storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """The storage at ``url``; its connections are closed with it, for a server that shuts down waits for them."""
    import optuna

    sqlite = urlsplit(url).scheme.startswith("sqlite")
    if sqlite:
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # Heartbeats carry this mark since Optuna 2; without them a killed trial would run for ever. The filter stays, as
    # `warnings.catch_warnings` is not safe where searches run in threads.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    storage = optuna.storages.RDBStorage(
        url,
        # Workers in several processes wait for SQLite's one writer instead of failing.
        engine_kwargs={"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True},
        heartbeat_interval=30,
        grace_period=90,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=2),
    )
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _study(storage: optuna.storages.RDBStorage, name: str, tuning: Tuning, seed: int, segment: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # an error that ends a trial is raised, and told once
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    # A resumed process with the same seed would repeat its earlier draws, so the seed moves with the finished trials.
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(_finished(study)), n_startup_trials=tuning.n_startup_trials
    )
    study.pruner = _median_pruner(tuning, segment) if tuning.pruner == "median" else optuna.pruners.NopPruner()
    return study


def _median_pruner(tuning: Tuning, segment: int) -> optuna.pruners.BasePruner:
    import optuna

    class SegmentedMedianPruner(optuna.pruners.BasePruner):
        """Optuna's median rule, within a segment: its own takes the best value of all steps so far, so one easy fold
        would shield a trial in all that follow."""

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            step = trial.last_step
            if step is None or step % segment < tuning.warmup_epochs:
                return False
            first = step - step % segment

            def best(of: optuna.trial.FrozenTrial) -> float | None:
                return min((v for s, v in of.intermediate_values.items() if first <= s <= step), default=None)

            complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            others = [value for value in map(best, complete) if value is not None]
            own = best(trial)
            return own is not None and len(others) >= tuning.n_startup_trials and own > statistics.median(others)

    return SegmentedMedianPruner()


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.name in ("COMPLETE", "PRUNED")]


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Any:
    if isinstance(space, Choice):
        return trial.suggest_categorical(name, list(space.values))
    if isinstance(space, IntRange):
        return trial.suggest_int(name, space.low, space.high, step=space.step)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    names = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return TrialRecord(
        trial.number,
        names.get(trial.state.name, "failed"),
        dict(trial.params),
        trial.value if trial.state.name == "COMPLETE" else None,
        dict(trial.intermediate_values),
    )
