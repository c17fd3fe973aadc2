"""Where flows run: threads or processes here, and how their errors come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from flows.running import task_runner
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from tests.project import Project

from daycast.config import Runner
from daycast.errors import SourceError
from daycast.steps import compare

pytestmark = pytest.mark.xdist_group("flows")


def test_the_configuration_names_the_task_runner() -> None:
    threads, processes = (task_runner(Runner(kind=kind, workers=3)) for kind in ("threads", "processes"))
    assert isinstance(threads, ThreadPoolTaskRunner)
    assert isinstance(processes, ProcessPoolTaskRunner)


def test_the_same_run_in_processes_comes_to_the_same(project: Project) -> None:
    given = ("model=[naive,seasonal_naive]", "model.seasonal_naive.lag=21")
    made = project.train(*given, "runner.kind=processes", last="backtest")
    alike = project.train(*given, last="backtest")
    assert alike.run == made.run
    assert {f"backtest {name}" for name in ("naive", "seasonal_naive")} <= project.cached
    board, _ = compare.read(project.settings, made.board)
    assert sorted(board["model"]) == ["naive", "seasonal_naive"]


def test_a_source_that_is_not_there_is_said_at_once_and_not_asked_again(project: Project, tmp_path: Path) -> None:
    from flows import tasks

    conf = project.settings.root / "conf/dataset"
    lost = conf / "lost.yaml"
    told = (conf / "tiny.yaml").read_text().replace("name: tiny", "name: lost")
    start, end = told.index("source:"), told.index("read:")
    lost.write_text(f"{told[:start]}source:\n  kind: file\n  path: {tmp_path}/none.csv\n{told[end:]}")
    try:
        state = tasks.ingest("lost", True, return_state=True)
    finally:
        lost.unlink()
    assert isinstance(state.result(raise_on_failure=False), SourceError)
    assert state.name == "Failed"  # not AwaitingRetry
