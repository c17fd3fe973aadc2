"""The tasks that search, fit and forecast one model, in one piece or in several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from prefect import task

from daycast import settings
from daycast.config import Config
from daycast.steps import backtest as backtest_step
from daycast.steps import fit as fit_step
from daycast.steps import keys
from daycast.steps import pieces as pieces_step
from daycast.steps import search as search_step
from daycast.steps import tune as tune_step
from daycast.steps.reference import (
    BacktestRef,
    DataRef,
    FittedRef,
    FoldsRef,
    FoundRef,
    PartRef,
    Piece,
    StudyRef,
    TunedRef,
    WindowsRef,
)
from flows.keeping import ONCE_MORE, kept
from flows.tasks import HOUR, shown
from flows.tokens import held


@kept(
    "tune",
    lambda given: keys.tune(given["config"], given["data"], given["windows"].model),
    task_run_name="tune {windows.model}",
    timeout_seconds=24 * HOUR,
)
def tune(
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    windows: WindowsRef,
    found: FoundRef | None = None,
    parts: Sequence[PartRef] = (),
) -> TunedRef:
    """Search what is not ``found`` yet, and score it; or put together ``parts``."""
    with shown("tune", windows.model), held(config, windows.model) if not parts else nullcontext():
        return tune_step.tune(settings.load(), config, data, folds, windows.model, found, parts)


@task(task_run_name="begin {windows.model}", timeout_seconds=HOUR, **ONCE_MORE)
def begin(config: Config, data: DataRef, folds: FoldsRef, windows: WindowsRef) -> StudyRef:
    return search_step.begin(settings.load(), config, data, folds, windows.model)


@task(task_run_name="search {begun.model} {worker}", timeout_seconds=24 * HOUR, **ONCE_MORE)
def search(config: Config, data: DataRef, folds: FoldsRef, begun: StudyRef, worker: int) -> None:
    with held(config, begun.model):
        search_step.work(settings.load(), config, data, folds, begun, worker)


@kept(
    "search",
    lambda given: keys.search(given["config"], given["data"], given["windows"].model),
    task_run_name="find {windows.model}",
    timeout_seconds=24 * HOUR,
)
def find(config: Config, data: DataRef, folds: FoldsRef, windows: WindowsRef) -> FoundRef:
    """The best parameters, of the trials that workers have run, or that are run here."""
    with held(config, windows.model):
        return search_step.found(settings.load(), config, data, folds, windows.model)


@kept(
    "part",
    lambda given: keys.part(given["config"], given["data"], given["chosen"].model, given["piece"]),
    task_run_name="part {chosen.model} {piece}",
    timeout_seconds=24 * HOUR,
)
def part(config: Config, data: DataRef, folds: FoldsRef, chosen: FoundRef | TunedRef, piece: Piece) -> PartRef:
    with shown("part", f"{chosen.model} {piece}"), held(config, chosen.model):
        return pieces_step.part(settings.load(), config, data, folds, chosen, piece)


@kept(
    "fit",
    lambda given: keys.fit(given["config"], given["data"], given["tuned"].model),
    task_run_name="fit {tuned.model}",
    timeout_seconds=24 * HOUR,
)
def fit(config: Config, data: DataRef, folds: FoldsRef, tuned: TunedRef, parts: Sequence[PartRef] = ()) -> FittedRef:
    """Fit; or put together ``parts``."""
    with shown("fit", tuned.model), held(config, tuned.model) if not parts else nullcontext():
        return fit_step.fit(settings.load(), config, data, folds, tuned, parts)


@kept(
    "backtest",
    lambda given: keys.backtest(given["config"], given["data"], given["fitted"].model),
    task_run_name="backtest {fitted.model}",
    timeout_seconds=24 * HOUR,
)
def backtest(
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    fitted: FittedRef,
    tuned: TunedRef,
    parts: Sequence[PartRef] = (),
) -> BacktestRef:
    with shown("backtest", fitted.model):
        return backtest_step.backtest(settings.load(), config, data, folds, fitted, tuned, parts)
