"""Where flows run: threads or processes here, and how their errors come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from flows.forecasting import forecasting
from prefect import flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from tests.project import Project

from daycast.adapters.sources.download import PassingError
from daycast.errors import ConfigError, PromotionError, SourceError, ToolError
from daycast.steps import window as window_step
from daycast.steps.reference import TransformRef
from flows import running, tasks

pytestmark = pytest.mark.xdist_group("flows")


def test_the_same_run_in_processes_comes_to_the_same(project: Project) -> None:
    models = {"seasonal_naive": "lag=21", "sarima": "train_steps=110"}
    given = [f"model=[{','.join(models)}]", *(f"model.{name}.{value}" for name, value in models.items())]
    made = project.train(*given, "runner.kind=processes", "runner.workers=2", last="tune")
    alike = project.train(*given, last="tune")
    assert project.cached == {f"{step} {name}" for step in ("transform", "window", "tune") for name in models}
    assert alike == made


@pytest.mark.parametrize(("own", "used"), [(180, 30), (None, None)])
@pytest.mark.usefixtures("project")
def test_a_run_by_hand_on_a_server_tells_that_it_lives_before_it_is_taken_for_dead(
    own: int | None, used: int | None
) -> None:
    @flow
    def asked() -> int | None:
        return PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: own}):
        assert running.start(asked) == used


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ToolError("DVC", "a lock", "wait"), True),
        (OSError("the disk"), True),
        (SourceError("a file", "none", "put it there"), False),
        (ConfigError("a dataset", "none", "name one"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_pass_is_tried_again(error: Exception, again: bool) -> None:
    from prefect.states import Failed

    assert tasks.may_pass(None, None, Failed(data=error)) is again


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    from prefect.states import Failed

    error = SourceError("a file", "timeout, 5 times", "try later")
    error.__cause__ = PassingError("timeout")
    assert tasks.may_pass(None, None, Failed(data=error))


def window_of(project: Project, lag: int, seconds: float = 60) -> str:
    """How one step ended, as a task in a thread: the windows of a naive model."""
    config, data = project.config("model=[seasonal_naive]", f"model.seasonal_naive.lag={lag}"), project.data

    @flow
    def alone() -> str:
        folds = tasks.split(config, data)
        arrays = TransformRef(model="seasonal_naive", parts=())
        future = tasks.window.with_options(timeout_seconds=seconds).submit(config, data, folds, arrays)
        future.wait()
        return future.state.name

    return alone()


@pytest.mark.parametrize(("lag", "error", "tried"), [(63, SystemError("AST"), 2), (70, ValueError("no"), 1)], ids=str)
def test_a_step_is_tried_again_where_the_interpreter_failed(
    project: Project, monkeypatch: pytest.MonkeyPatch, lag: int, error: Exception, tried: int
) -> None:
    given, step = [], window_step.window

    def window(*args: Any) -> Any:
        given.append(args)
        if len(given) == 1:
            raise error
        return step(*args)

    monkeypatch.setattr(window_step, "window", window)
    assert window_of(project, lag) == ("Completed" if tried == 2 else "Failed")
    assert len(given) == tried


def test_a_step_that_takes_longer_than_it_may_fails_and_is_not_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = []

    def window(*args: Any) -> Any:
        given.append(args)
        while True:
            sleep(0.01)

    monkeypatch.setattr(window_step, "window", window)
    assert window_of(project, 77, seconds=0.5) == "TimedOut"
    assert len(given) == 1
    assert "worker threads" not in caplog.text


@pytest.fixture
def lost(project: Project, tmp_path: Path) -> Iterator[str]:
    """A dataset whose file is not there."""
    conf = project.settings.root / "conf/dataset"
    told = (conf / "tiny.yaml").read_text().replace("name: tiny", "name: lost")
    start, end = told.index("source:"), told.index("read:")
    file = conf / "lost.yaml"
    file.write_text(f"{told[:start]}source:\n  kind: file\n  path: {tmp_path}/none.csv\n{told[end:]}")
    yield "lost"
    file.unlink()


def test_a_source_that_is_not_there_is_said_at_once(project: Project, lost: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName

    with pytest.raises(SourceError, match=r"none\.csv"):
        project.train(f"dataset={lost}")
    with get_client(sync_client=True) as prefect:
        named = TaskRunFilter(name=TaskRunFilterName(any_=[f"ingest {lost}"]))
        (task,) = prefect.read_task_runs(task_run_filter=named)
    assert (task.state_name, task.run_count) == ("Failed", 1)


def test_a_forecast_of_a_past_day_without_a_champion_says_so_before_it_touches_the_data(
    project: Project, lost: str
) -> None:
    project.events.clear()
    with pytest.raises(PromotionError, match=f"`daycast run dataset={lost}`"):
        running.start(forecasting, dataset=lost, as_of=date(2019, 10, 15))
    assert project.ran == set()


def test_a_forecast_without_any_data_ends_in_what_hindered_them(project: Project, lost: str) -> None:
    with pytest.raises(SourceError, match=r"none\.csv"):
        running.start(forecasting, dataset=lost)
    assert "forecast lost" not in project.ran
