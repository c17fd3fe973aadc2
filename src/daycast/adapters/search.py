"""Hyperparameter search by Optuna: propose, prune, remember the study. It knows nothing of folds or models."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daycast.config import Tuning
from daycast.config.search import Choice, IntRange, Space, Variants
from daycast.errors import ModelError

if TYPE_CHECKING:
    import optuna

Report = Callable[[int, float], None]
"""Called with (steps done, value so far, lower is better); ends a trial that is not worth going on by an exception."""
REASON = "reason"  # a trial's attribute in the study
NEEDED = 2  # trials to compare with, before one is pruned


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: from 0.
        state: ``complete``, ``pruned`` or ``failed``.
        value: of a complete one.
        curve: steps done -> value so far.
        share: of all its steps that were done; none of one that repeats another.
        reason: why it was pruned, or which one it repeats.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    value: float | None
    curve: dict[int, float] = field(default_factory=dict)
    share: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class SearchResult:
    """What a search found: the best trial, and all that ended."""

    best: TrialRecord
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes:
        evaluate: called with (parameters, report); returns the value, lower is better.
        space: parameter -> what to search.
        start: configured values of those parameters, tried first; what is left out is drawn.
        steps: of a whole trial. Values reported after equally many are what trials are compared by.
        refusals: what ``evaluate`` raises of drawn parameters that can't be evaluated, for which a trial is pruned.
    """

    evaluate: Callable[[dict[str, Any], Report], float]
    space: Mapping[str, Space]
    start: Mapping[str, Any]
    steps: int
    refusals: tuple[type[Exception], ...] = ()


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
        ModelError: no trial could be evaluated.
        Whatever else ``evaluate`` raises, a refusal of the start too.
    """
    with _storage(url) as storage:
        study = _study(storage, study_name, tuning, seed, objective.steps)
        if all(t.state.name == "FAIL" for t in study.trials):  # also where the first one failed and was mended since
            study.enqueue_trial(dict(objective.start))

        def evaluate(trial: optuna.Trial) -> float:
            parameters = {name: _suggest(trial, name, space) for name, space in objective.space.items()}

            def report(step: int, value: float) -> None:
                trial.report(value, step)
                if trial.should_prune():
                    raise _pruned(trial, f"{value:.4g} after {step} of {objective.steps} steps was not among the best")

            if (earlier := _repeated(study, trial, parameters)) is not None:
                return earlier
            try:
                return objective.evaluate(parameters, report)
            except objective.refusals as refusal:
                if parameters == objective.start:  # then it is no draw's fault
                    raise
                told = " ".join(str(refusal).split())
                raise _pruned(trial, f"refused, {type(refusal).__name__}: {told}") from refusal

        def tell(*_: Any) -> None:
            finished = _finished(study)
            if on_trial is not None:
                complete = [t.value for t in finished if t.value is not None and t.state.name == "COMPLETE"]
                on_trial(len(finished), tuning.n_trials, min(complete, default=None))

        missing = tuning.n_trials - len(_finished(study))
        tell()
        if missing > 0:
            study.optimize(evaluate, n_trials=missing, callbacks=[tell])
        ended = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]  # a killed one runs on paper
        made = tuple(_record(t, objective.steps) for t in ended)
        if all(t.value is None for t in made):
            raise ModelError("a trial that can be evaluated", f"none; {made[-1].reason}", "change model.search")
        return SearchResult(min((t for t in made if t.value is not None), key=lambda t: (t.value, t.number)), made)


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


def _study(storage: optuna.storages.RDBStorage, name: str, tuning: Tuning, seed: int, steps: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # an error that ends a trial is raised, and told once
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    # A resumed process with the same seed would repeat its earlier draws, so the seed moves with the finished trials.
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(_finished(study)), n_startup_trials=tuning.n_startup_trials
    )
    study.pruner = _halving(tuning.keep, steps) if tuning.pruner == "halving" else optuna.pruners.NopPruner()
    return study


def _halving(keep: float, steps: int) -> optuna.pruners.BasePruner:
    import optuna

    class Halving(optuna.pruners.BasePruner):
        """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934), its rungs where trials report: Optuna's
        own, at powers of a factor, would miss the ends of folds."""

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            step = trial.last_step
            if step is None or step >= steps:
                return False
            own = trial.intermediate_values[step]
            others = [t.intermediate_values[step] for t in _finished(study) if step in t.intermediate_values]
            better = sum(value < own for value in others)
            return len(others) >= NEEDED and better >= max(1, math.floor(keep * (len(others) + 1)))

    return Halving()


def _repeated(study: optuna.Study, trial: optuna.Trial, parameters: Mapping[str, Any]) -> float | None:
    """The value of a trial of the same parameters, of which a small space has many: they cost nothing."""
    import optuna

    earlier = next((t for t in _finished(study) if t.params == parameters), None)
    if earlier is None:
        return None
    trial.set_user_attr(REASON, f"as trial {earlier.number}")
    if earlier.state.name == "PRUNED":
        raise optuna.TrialPruned
    return earlier.value


def _pruned(trial: optuna.Trial, reason: str) -> optuna.TrialPruned:
    import optuna

    trial.set_user_attr(REASON, reason)
    return optuna.TrialPruned(reason)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.name in ("COMPLETE", "PRUNED")]


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Any:
    if isinstance(space, (Choice, Variants)):
        return trial.suggest_categorical(name, list(space.values))
    if isinstance(space, IntRange):
        return trial.suggest_int(name, space.low, space.high, step=space.step)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _record(trial: optuna.trial.FrozenTrial, steps: int) -> TrialRecord:
    names = {"COMPLETE": "complete", "PRUNED": "pruned"}
    complete, reason = trial.state.name == "COMPLETE", trial.user_attrs.get(REASON, "")
    return TrialRecord(
        trial.number,
        names.get(trial.state.name, "failed"),
        dict(trial.params),
        trial.value if complete else None,
        dict(trial.intermediate_values),
        1.0 if complete and not reason else (trial.last_step or 0) / steps,
        reason,
    )
