"""Replay a pipeline's whole life over history, with a state of its own: the user's is read, and never changed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import active_children, get_context
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from daycast.adapters.store import opened
from daycast.config import Config
from daycast.core import content
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import diary, replay_report
from daycast.steps.data import arrays
from daycast.steps.living import Life
from daycast.steps.outcomes import ReplayedRef, ReplayPlan
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef
from daycast.steps.stretches import Stretches, observed

DIARY = "diary.jsonl"
CODE = ("config", "core", "models", "steps", "adapters/registry", "adapters/search", "adapters/store")
UNUSED = ("runner", "alert")  # sections that no day hangs on


@dataclass(frozen=True)
class Span:
    """The days that are replayed: ``cutoffs``, one of each; ``before``, the day of the first training."""

    cutoffs: pd.DatetimeIndex
    before: date


def span(settings: Settings, config: Config, data: DataRef, first: date, last: date) -> tuple[Span, pd.DatetimeIndex]:
    """The days with observations from ``first`` to ``last``, and the same from ``first`` to the end of the data.

    Raises:
        ConfigError: there are fewer than two, or ``first`` has no day before it.
    """
    every = observed(arrays(settings, config.dataset.spec(), data))
    later = every[every.normalize() >= pd.Timestamp(first)]
    cutoffs = later[later.normalize() <= pd.Timestamp(last)]
    earlier = every[every.normalize() < pd.Timestamp(first)]
    if len(cutoffs) < 2 or not len(earlier):  # of one day nothing has come by its end
        raise ConfigError(
            f"two days or more inside the observations of {data.dataset}, {every[0].date()} .. {every[-1].date()}, and "
            "after the first of them",
            f"{first} .. {last}",
            "choose another range",
        )
    return Span(cutoffs, earlier[-1].date()), later


def plan(settings: Settings, config: Config, data: DataRef, first: date, last: date) -> ReplayPlan:
    """What a replay would do, and what of it is done. Nothing is changed."""
    days, _ = span(settings, config, data, first, last)
    folder = place(settings, config, data, first)
    done = diary.read(folder / DIARY)
    rule = config.monitoring.retrain
    return ReplayPlan(
        dataset=data.dataset,
        folder=str(folder),
        first=str(first),
        last=str(days.cutoffs[-1].date()),
        n_days=len(days.cutoffs),
        n_done=sum(day.forecast_by is not None and day.day <= last for day in done),
        first_training=str(days.before),
        models=tuple(config.model),
        most_trainings=1 + len(days.cutoffs) // rule.cool_down,
        least_trainings=1 + len(days.cutoffs) // max(rule.max_age, rule.longest),
    )


def replay(settings: Settings, config: Config, data: DataRef, first: date, last: date, workers: int = 1) -> ReplayedRef:
    """Live through every day from ``first`` to ``last``, and set what came of it beside other lives.

    Killed at any moment, the same call goes on with the day that it was at. Days that are over stay as they are, so a
    later ``last`` goes on from there too.

    Args:
        workers: processes that fit models and make forecasts ahead; the figures are the same with any number.

    Raises:
        ConfigError: no such days, or another process is at it. PromotionError: not even a baseline may forecast.
        What a step raises.
    """
    days, later = span(settings, config, data, first, last)
    own = isolated(settings, place(settings, config, data, first))
    file = own.state / DIARY
    stretches = Stretches(own, own.state / "stretches", data, later)
    with _alone(own.state), opened(own.store_url), _pool(workers) as pool:
        life = Life(own, config, data, stretches, pool)
        done = diary.read(file)
        if not done:
            emit("replay", data.dataset, 0, len(days.cutoffs), f"first training, as of {days.before}")
            done = [life.begin(days.before)]
            diary.append(file, done[0])
        frozen = life.version(done[0].standing.champion)
        ahead = [pool.submit(stretches.part, frozen, n) for n in stretches.numbers(days.cutoffs)] if pool else []
        for i, cutoff in enumerate(days.cutoffs, start=1):
            if i < len(done):
                continue
            champion = done[-1].standing
            note = f"{cutoff.date()}, version {champion.champion} ({champion.model})"
            emit("replay", data.dataset, i - 1, len(days.cutoffs), note)
            done.append(life.live(cutoff, champion))
            diary.append(file, done[-1])
        for future in ahead:
            future.result()
    emit("replay", data.dataset, len(days.cutoffs), len(days.cutoffs), "all days lived")
    return replay_report.report(life, done[: len(days.cutoffs) + 1], frozen)


def place(settings: Settings, config: Config, data: DataRef, first: date) -> Path:
    """The folder of a replay: equal data, code, configuration and first day are the same replay."""
    told = config.model_dump(mode="json", exclude=set(UNUSED))
    return settings.state / "replay" / content.key("replay", content.code(*CODE), data.version, told, first)


def isolated(settings: Settings, folder: Path) -> Settings:
    """Settings of the replay's own state. What its steps cache under content keys serves all replays."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = folder.parent / "cache"
    shared.mkdir(exist_ok=True)
    link = folder / "cache"
    if not link.is_symlink():
        link.symlink_to(shared, target_is_directory=True)
    url = f"sqlite:///{folder}"
    return replace(
        settings,
        state=folder,
        tracking_uri=f"{url}/mlflow.db",
        studies_url=f"{url}/studies.db",
        store_url=f"{url}/forecasts.db",
        cache_url=None,
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse to live a life that is being lived: two would each write its days down."""
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            f"nobody else at the replay in {folder}",
            "another process that goes on with it",
            "wait for it, or end it first; `--dry-run` tells how far it is",
        ) from error


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """Processes that end with this one, however it ends; none where one worker is enough."""
    if workers == 1:
        yield None
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:  # what they are at is done again; Python would wait for it to end
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(parent: int) -> None:
    """In a worker: Ctrl-C is the parent's to hear, and a parent that was killed can't tell anybody."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
