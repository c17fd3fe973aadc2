"""Run a search: alone, or as one of several workers that share its study, in processes or on machines of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daycast.adapters.search.records import REASON, Objective, SearchResult, record
from daycast.adapters.search.studies import finished, storage, study
from daycast.config import Tuning
from daycast.config.search import Choice, IntRange, Space, Variants
from daycast.errors import ModelError

if TYPE_CHECKING:
    import optuna

OnTrial = Callable[[int, int, float | None], None]
"""Called with (finished, of how many, best value so far or None)."""
SURPLUS = "surplus"  # a trial's attribute: there are enough without it


class _SurplusError(Exception):
    """There are enough trials without this one."""


def begin(url: str, study_name: str, objective: Objective, tuning: Tuning) -> None:
    """Make the study, with the configured values as its first trial; nothing where that was done."""
    with storage(url) as at:
        _start(study(at, study_name, tuning, objective.steps, 0), objective)


def take_part(
    url: str,
    study_name: str,
    objective: Objective,
    tuning: Tuning,
    seed: int,
    worker: int,
    on_trial: OnTrial | None = None,
) -> None:
    """Run trials of a study that has begun as long as it lacks some that no other worker is at.

    Args:
        worker: number from 0; no two draw alike.

    Raises:
        Whatever ``evaluate`` raises but a refusal of a draw.
    """
    with storage(url) as at:
        shared = study(at, study_name, tuning, objective.steps, seed, worker)
        tell = _told(tuning, on_trial)
        tell(shared)
        if _taken(shared) < tuning.n_trials:
            shared.optimize(
                _evaluated(shared, objective, tuning.n_trials), callbacks=[tell], catch=(_SurplusError,), n_trials=None
            )


def search(
    url: str,
    study_name: str,
    objective: Objective,
    tuning: Tuning,
    seed: int,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run trials until ``tuning.n_trials`` are finished, counting those of earlier, interrupted calls and of workers.

    The study lives at ``url`` under ``study_name``; calling again after a kill takes it up where it stood. A trial
    whose process died is marked failed by its missing heartbeat and its parameters are tried again. Beside a worker
    that still runs, more than asked for may finish.

    Raises:
        ModelError: no trial could be evaluated.
        Whatever else ``evaluate`` raises, a refusal of the start too.
    """
    with storage(url) as at:
        own = study(at, study_name, tuning, objective.steps, seed)
        _start(own, objective)
        tell = _told(tuning, on_trial)
        tell(own)
        missing = tuning.n_trials - len(finished(own))
        if missing > 0:
            own.optimize(_evaluated(own, objective), n_trials=missing, callbacks=[tell])
        # One whose process was killed runs on paper.
        ended = [t for t in own.get_trials(deepcopy=False) if t.state.is_finished() and SURPLUS not in t.user_attrs]
        made = tuple(record(t, objective.steps) for t in ended)
        if all(t.value is None for t in made):
            raise ModelError("a trial that can be evaluated", f"none; {made[-1].reason}", "change model.search")
        return SearchResult(min((t for t in made if t.value is not None), key=lambda t: (t.value, t.number)), made)


def importances(url: str, study_name: str) -> dict[str, float]:
    """Share of each parameter in the variance of the value (fANOVA), largest first; empty where it can't be told."""
    import optuna

    with storage(url) as at:
        found = optuna.load_study(study_name=study_name, storage=at)
        complete = [t for t in found.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if len(complete) < 4 or len({t.value for t in complete}) < 2:
            return {}
        return dict(optuna.importance.get_param_importances(found))


def _start(study: optuna.Study, objective: Objective) -> None:
    if all(t.state.name == "FAIL" for t in study.trials):  # also where the first one failed and was mended since
        study.enqueue_trial(dict(objective.start))


def _taken(study: optuna.Study, before: int | None = None) -> int:
    """How many trials are finished or will be, of those with a number below ``before``; one whose worker was killed
    among them, until its heartbeat is missed."""
    trials = [t for t in study.get_trials(deepcopy=False) if before is None or t.number < before]
    return sum(t.state.name in ("COMPLETE", "PRUNED", "RUNNING") for t in trials)


def _evaluated(study: optuna.Study, objective: Objective, most: int | None = None) -> Callable[[optuna.Trial], float]:
    """The function that Optuna minimises; beyond ``most`` trials it withdraws its own.

    Workers can't agree on who starts the last trial, but numbers are unique: of those who start too many, the ones with
    the highest withdraw, before any work is done.
    """

    def evaluate(trial: optuna.Trial) -> float:
        if most is not None and _taken(study, before=trial.number) >= most:
            trial.set_user_attr(SURPLUS, True)
            study.stop()
            raise _SurplusError
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

    return evaluate


def _told(tuning: Tuning, on_trial: OnTrial | None) -> Callable[..., None]:
    """Optuna's callback after each trial."""

    def tell(study: optuna.Study, *_: Any) -> None:
        if on_trial is not None:
            ended = finished(study)
            complete = [t.value for t in ended if t.value is not None and t.state.name == "COMPLETE"]
            on_trial(len(ended), tuning.n_trials, min(complete, default=None))

    return tell


def _repeated(study: optuna.Study, trial: optuna.Trial, parameters: Mapping[str, Any]) -> float | None:
    """The value of a trial of the same parameters, of which a small space has many: they cost nothing."""
    import optuna

    earlier = next((t for t in finished(study) if t.params == parameters), None)
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


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Any:
    if isinstance(space, (Choice, Variants)):
        return trial.suggest_categorical(name, list(space.values))
    if isinstance(space, IntRange):
        return trial.suggest_int(name, space.low, space.high, step=space.step)
    return trial.suggest_float(name, space.low, space.high, log=space.log)
