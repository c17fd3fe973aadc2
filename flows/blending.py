"""The stages of a run in which models that are made of others wait for those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture

from daycast import settings
from daycast.config import Config
from daycast.steps import blend, keys
from daycast.steps.reference import DataRef, FittedRef, FoldsRef, TunedRef, WindowsRef
from flows import tasks
from flows.keeping import kept

T = TypeVar("T")
Futures: TypeAlias = list[PrefectFuture[T]]


@kept(
    "tune",
    lambda given: keys.tune(given["config"], given["data"], given["windows"].model),
    task_run_name="weigh {windows.model}",
    timeout_seconds=tasks.LONG,
)
def weigh(config: Config, data: DataRef, folds: FoldsRef, windows: WindowsRef, members: list[TunedRef]) -> TunedRef:
    with tasks.shown("tune", windows.model):
        return blend.weigh(settings.load(), config, data, folds, windows.model, members)


@kept(
    "fit",
    lambda given: keys.fit(given["config"], given["data"], given["tuned"].model),
    task_run_name="join {tuned.model}",
    timeout_seconds=tasks.LONG,
)
def join(config: Config, data: DataRef, folds: FoldsRef, tuned: TunedRef, members: list[FittedRef]) -> FittedRef:
    with tasks.shown("fit", tuned.model):
        return blend.join(settings.load(), config, data, folds, tuned, members)


def stage(
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    before: Futures[Any],
    alone: Callable[[str, PrefectFuture[Any]], PrefectFuture[T]],
    blended: Task[..., T],
) -> Futures[T]:
    """A stage of all models, in the configuration's order; a blend enters it when its members have left it.

    Args:
        before: each model's result of the stage before.
        alone: submits the task of a model by itself, given its name and its result of the stage before.
        blended: the task of a blend, also given its members' results.
    """
    of, made = dict(zip(config.model, before, strict=True)), {}
    for name in blend.last(config):
        members = [made[m] for m in blend.members(config, name)]
        given = (config, data, folds, of[name])
        made[name] = blended.submit(*given, members) if members else alone(name, of[name])
    return [made[name] for name in config.model]
