"""The pipeline run in MLflow: begun, ended however its flow ends, and found again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import task

from daycast import settings
from daycast.config import Config
from daycast.errors import PromotionError
from daycast.steps import record as record_step
from daycast.steps import register as register_step
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import DataRef, RunRef
from flows import tasks


@task(task_run_name="begin the run in MLflow", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def begin(config: Config, data: DataRef) -> RunRef:
    return record_step.open_run(settings.load(), config, data)


@contextmanager
def recording(config: Config, data: DataRef) -> Iterator[RunRef]:
    """The pipeline run in MLflow while the block runs; one that breaks off is marked, and taken up by the next."""
    run = begin(config, data)
    try:
        yield run
    except PromotionError:  # if all was done, and the gate said no, nothing of it went wrong
        registered = register_step.is_registered(settings.load(), run)
        record_step.close_run(settings.load(), run, "FINISHED" if registered else "FAILED")
        raise
    except KeyboardInterrupt:
        record_step.close_run(settings.load(), run, "KILLED")
        raise
    except BaseException:
        record_step.close_run(settings.load(), run, "FAILED")
        raise
    record_step.close_run(settings.load(), run, "FINISHED")


@task(task_run_name="find what was made", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def outcome(config: Config, data: DataRef) -> Outcome:
    """What a run on another machine came to, as MLflow has it."""
    return record_step.outcome(settings.load(), config, data)
