"""Studies in their storage: how they are opened, how trials are drawn and pruned, and which of them count."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from daycast.config import Tuning

if TYPE_CHECKING:
    import optuna

NEEDED = 2  # trials to compare with, before one is pruned


@contextmanager
def storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """The storage at ``url``; its connections are closed with it, for a server that shuts down waits for them."""
    import optuna

    sqlite = urlsplit(url).scheme.startswith("sqlite")
    if sqlite:
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # Heartbeats carry this mark since Optuna 2; without them a killed trial would run for ever. The filter stays, as
    # `warnings.catch_warnings` is not safe where searches run in threads.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    made = optuna.storages.RDBStorage(
        url,
        # Workers in several processes wait for SQLite's one writer instead of failing.
        engine_kwargs={"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True},
        heartbeat_interval=30,
        grace_period=90,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=2),
    )
    try:
        yield made
    finally:
        made.remove_session()
        made.engine.dispose()


def study(
    at: optuna.storages.RDBStorage, name: str, tuning: Tuning, steps: int, seed: int, worker: int = 0
) -> optuna.Study:
    """The study of that name, made where there is none yet.

    Args:
        steps: of a whole trial.
        worker: number of who draws here, from 0.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # an error that ends a trial is raised, and told once
    found = optuna.create_study(study_name=name, storage=at, direction="minimize", load_if_exists=True)
    found.sampler = optuna.samplers.TPESampler(
        seed=_seed(seed, len(finished(found)), worker), n_startup_trials=tuning.n_startup_trials
    )
    found.pruner = _halving(tuning.keep, steps) if tuning.pruner == "halving" else optuna.pruners.NopPruner()
    return found


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that count: completed or pruned."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.name in ("COMPLETE", "PRUNED")]


def _seed(seed: int, finished: int, worker: int) -> int:
    """Of the draws of one worker, which moves with the finished trials: who takes up a search again with the same seed
    would repeat its earlier draws, as would another worker beside it."""
    if worker == 0:
        return seed + finished
    return int(np.random.SeedSequence([seed, worker, finished]).generate_state(1)[0])


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
            others = [t.intermediate_values[step] for t in finished(study) if step in t.intermediate_values]
            better = sum(value < own for value in others)
            return len(others) >= NEEDED and better >= max(1, math.floor(keep * (len(others) + 1)))

    return Halving()
