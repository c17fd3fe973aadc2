"""Each step as a Prefect task: its retries, its timeout, and the content key its result is kept under.

Tasks take and return references.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from prefect import State, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.futures import PrefectFuture

from daycast import models, settings
from daycast.config import Config, compose, dataset_only, filed
from daycast.core.retrain import Action
from daycast.errors import DaycastError, unanswered
from daycast.steps import compare as compare_step
from daycast.steps import forecast as forecast_step
from daycast.steps import ingest as ingest_step
from daycast.steps import keys, progress
from daycast.steps import prepare as prepare_step
from daycast.steps import promote as promote_step
from daycast.steps import record as record_step
from daycast.steps import register as register_step
from daycast.steps import retrain as retrain_step
from daycast.steps import split as split_step
from daycast.steps import transform as transform_step
from daycast.steps import validate as validate_step
from daycast.steps import window as window_step
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import (
    BacktestRef,
    BoardRef,
    DataRef,
    FittedRef,
    FoldsRef,
    RunRef,
    TransformRef,
    TunedRef,
    VersionRef,
    WindowsRef,
)
from flows import turns
from flows.keeping import ONCE_MORE, fetch, kept

# Prefect says of each task in a thread that a timeout waits for what blocks to end: docs/operations.md says it once.
logging.getLogger("prefect.task_runs").addFilter(lambda record: "Timeouts in worker threads" not in str(record.msg))

HOUR = 3600.0
LONG = 6 * HOUR  # of what takes as long as there are series: a million are validated in two hours


@contextmanager
def shown(step: str, subject: str) -> Iterator[None]:
    progress.emit(step, subject, 0, 0, "running")
    yield
    progress.emit(step, subject, 1, 1, "done")


def results(*stages: Sequence[PrefectFuture[Any]]) -> list[Any]:
    """Results of the last stage, once it has ended.

    Raises:
        What the first failed task raised: those that depend on it only know that it left them unready.
    """
    for future in (f for stage in stages for f in stage):
        future.wait()
        if future.state.is_failed() or future.state.is_crashed():
            future.result()
    return [future.result() for future in stages[-1]]


def configured(overrides: list[str], last: str) -> Config:
    """The configuration of this machine's project with overrides, its models ready to be fitted in threads.

    Args:
        last: the last step that is to run; one that promotes goes by the gate as its file has it.
    """
    root = settings.load().root
    config = compose(root, overrides)
    if last == "forecast":
        filed.require_gate(root, config)
    models.import_libraries(config.model.values())
    return config


def may_pass(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether trying again may help: a source or a tool may come back, but what a user has to mend stays as it is."""
    from daycast.adapters.sources.download import PassingError

    error = state.result(raise_on_failure=False)
    theirs = not isinstance(error, DaycastError) or unanswered(error)
    return theirs or isinstance(error.__cause__, PassingError)


# Only what touches the world or a server is worth repeating; the rest gives the same again.
RETRIED: dict[str, Any] = {"retries": 2, "retry_delay_seconds": [5, 30], "retry_condition_fn": may_pass}


@task(task_run_name="ingest {dataset}", timeout_seconds=HOUR, **RETRIED)
def ingest(dataset: str, fetch: bool) -> str:
    with shown("ingest", dataset):
        ingest_step.ingest(settings.load(), dataset, fetch=fetch)
    return dataset


@task(task_run_name="validate {dataset}", timeout_seconds=LONG)
def validate(dataset: str, as_of: date | None = None) -> str:
    with shown("validate", dataset):
        validate_step.validate(settings.load(), dataset, as_of)
    return dataset


@task(task_run_name="prepare {dataset}", timeout_seconds=LONG)
def prepare(dataset: str) -> DataRef:
    with shown("prepare", dataset):
        return prepare_step.prepare(settings.load(), dataset)


def prepared(dataset: str, fetch: bool, as_of: date | None) -> DataRef:
    """The newest version of a dataset: fetched, validated and prepared by one run at a time."""
    with turns.taken(dataset):
        return prepare(validate(ingest(dataset, fetch), as_of))


@task(task_run_name="split {data.dataset}", timeout_seconds=HOUR)
def split(config: Config, data: DataRef) -> FoldsRef:
    with shown("split", data.dataset):
        return split_step.split(settings.load(), config, data)


@kept(
    "transform",
    lambda given: keys.transform(given["config"], given["data"], given["name"]),
    task_run_name="transform {name}",
    timeout_seconds=LONG,
)
def transform(config: Config, data: DataRef, folds: FoldsRef, name: str) -> TransformRef:
    return transform_step.transform(settings.load(), config, data, folds, name)


@kept(
    "window",
    lambda given: keys.window(given["config"], given["data"], given["arrays"].model),
    task_run_name="window {arrays.model}",
    timeout_seconds=LONG,
)
def window(config: Config, data: DataRef, folds: FoldsRef, arrays: TransformRef) -> WindowsRef:
    return window_step.window(settings.load(), config, data, folds, arrays)


@task(task_run_name="compare {data.dataset}", timeout_seconds=LONG, **ONCE_MORE)
def compare(config: Config, data: DataRef, folds: FoldsRef, tested: list[BacktestRef]) -> BoardRef:
    fetch(tested)
    with shown("compare", data.dataset):
        return compare_step.compare(settings.load(), config, data, folds, tested)


@kept(
    "record",
    lambda given: keys.record(given["run"], given["tested"].key),
    task_run_name="record {tuned.model}",
    timeout_seconds=LONG,
    **RETRIED,
)
def record_model(
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    run: RunRef,
    tuned: TunedRef,
    fitted: FittedRef,
    tested: BacktestRef,
) -> str:
    with shown("record", tuned.model):
        return record_step.record_model(settings.load(), config, data, folds, run, (tuned, fitted, tested))


@task(task_run_name="record {data.dataset}", timeout_seconds=LONG, **RETRIED)
def record_run(config: Config, data: DataRef, folds: FoldsRef, run: RunRef, board: BoardRef) -> None:
    """Log the whole run, and show its leaderboard in Prefect with the way to it in MLflow."""
    here, name = settings.load(), data.dataset.replace("_", "-")
    with shown("record", data.dataset):
        record_step.record_run(here, config, data, folds, run, board)
    table, decision = compare_step.read(here, board)
    create_table_artifact(
        key=f"leaderboard-{name}",
        table=table.astype(object).where(table.notna(), None).to_dict("records"),
        description="\n".join(f"- {reason}" for reason in decision.reasons),
    )
    if (link := record_step.run_link(here, run)) is not None:
        create_link_artifact(key=f"mlflow-{name}", link=link, link_text="this run in MLflow")


@task(task_run_name="register {data.dataset}", timeout_seconds=LONG, **RETRIED)
def register(
    config: Config,
    data: DataRef,
    run: RunRef,
    board: BoardRef,
    tuned: list[TunedRef],
    made: Sequence[FittedRef | BacktestRef],
) -> VersionRef:
    """Register; what was ``made`` of all models is looked up by its keys."""
    fetch(tuned, made)
    with shown("register", board.winner):
        return register_step.register(settings.load(), config, data, run, board, tuned)


@task(task_run_name="promote {version.model}", timeout_seconds=24 * HOUR, **RETRIED)
def promote(dataset: str, run: RunRef, version: VersionRef) -> VersionRef:
    with shown("promote", version.model):
        return promote_step.promote(settings.load(), dataset, run.run_id)


@task(task_run_name="ask the retrain rule of {config.dataset.name}", timeout_seconds=LONG, **RETRIED)
def may_train(config: Config, data: DataRef) -> Action:
    """What the rule says today."""
    return retrain_step.asked(settings.load(), config, data, config.dataset.today())


@task(task_run_name="find the champion of {dataset}", timeout_seconds=HOUR, **RETRIED)
def require_champion(dataset: str) -> None:
    """Raise ``PromotionError`` if the dataset has no champion."""
    forecast_step.require_champion(settings.load(), dataset)


@task(task_run_name="forecast {data.dataset}", timeout_seconds=LONG, **RETRIED)
def forecast(
    data: DataRef,
    as_of: date | None = None,
    horizon: int | None = None,
    version: str | None = None,
    late: str | None = None,
) -> ForecastRef:
    here = settings.load()
    with shown("forecast", data.dataset):
        return forecast_step.forecast(here, dataset_only(here.root, data.dataset), data, as_of, horizon, version, late)
