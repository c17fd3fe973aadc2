"""A run on a cluster whose starter is killed, interrupted, and then loses a worker: each goes on where it stood."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.project import lay_out
from tests.sessions import processes

from daycast.adapters import tracking
from daycast.settings import Settings

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("interruption")]

TRIALS = 5
GIVEN = ["model=[naive,gru]", "trainer.max_epochs=25", "trainer.patience=25", "tuning.pruner=none"]
GIVEN += [f"tuning.n_trials={TRIALS}", "tuning.workers=2", "runner=dask"]


@dataclass
class Story:
    """What came of it.

    Attributes:
        left: by what had happened, command lines of processes that outlived their run.
        codes: exit codes, as ``left``.
        lines: what the last run told of its progress.
        told: what it came to.
        workers: ids of its processes: before, and after one was killed.
    """

    settings: Settings
    left: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    workers: tuple[set[int], set[int]] = (set(), set())


def command(at: Path) -> subprocess.Popen[str]:
    """The run, as one job of a terminal."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_", "DASK_"))}
    words = [sys.executable, "-m", "daycast", "run", *GIVEN, "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=at, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def workers(pid: int) -> set[int]:
    """Ids of a run's workers."""
    return {own for own, (parent, words) in processes(pid).items() if parent == pid and "spawn_main" in words}


def outlived(session: int) -> list[str]:
    """Command lines of what is left of a session, after some seconds to end."""
    for _ in range(150):
        if not (left := processes(session)):
            break
        time.sleep(0.1)
    return [words for _, words in left.values()]


def until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """What a run tells of its progress up to a line that matches."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if re.match(wanted, line):
            return lines
    pytest.fail(f"it ended before `{wanted}`, with {process.wait()}:\n{''.join(lines)}")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    settings = lay_out(tmp_path_factory.mktemp("a project") / "on a cluster")
    made = Story(settings)
    for happened, number, wanted in (
        ("killed", signal.SIGKILL, "tune gru: trial 1 of"),
        ("interrupted", signal.SIGINT, "part gru validation-1: epoch"),
    ):
        run = command(settings.root)
        until(run, wanted)
        os.kill(run.pid, number) if happened == "killed" else os.killpg(run.pid, number)
        run.communicate(timeout=120)
        made.codes[happened], made.left[happened] = run.returncode, outlived(run.pid)
    run = command(settings.root)
    made.lines = until(run, "part gru test: epoch")
    before = workers(run.pid)
    busy = max(before, key=lambda pid: int(Path(f"/proc/{pid}/stat").read_text().split()[13]))  # by its processor time
    os.kill(busy, signal.SIGKILL)
    made.lines += until(run, "backtest gru: running")
    made.workers = before, workers(run.pid)
    out, err = run.communicate(timeout=600)
    made.codes["lost a worker"], made.left["lost a worker"] = run.returncode, outlived(run.pid)
    assert run.returncode == 0, err
    made.lines += err.splitlines()
    made.told = json.loads(out)
    return made


def test_no_process_outlives_its_run_however_that_ends(story: Story) -> None:
    assert story.left == {"killed": [], "interrupted": [], "lost a worker": []}
    assert story.codes == {"killed": -signal.SIGKILL, "interrupted": 130, "lost a worker": 0}


def test_another_worker_takes_the_place_of_one_that_was_killed(story: Story) -> None:
    before, after = story.workers
    assert len(before) == len(after) == 2
    assert len(before & after) == 1


def test_a_search_of_several_workers_has_as_many_trials_as_were_asked_for_however_often_it_was_broken_off(
    story: Story,
) -> None:
    import optuna

    (gru,) = [t for t in story.told["tuned"] if t["model"] == "gru"]
    found = optuna.load_study(study_name=gru["study"], storage=story.settings.studies_url).get_trials()
    finished = [t for t in found if t.state.name == "COMPLETE"]
    assert len(finished) == gru["n_trials"] == TRIALS
    assert gru["trial"] == min(finished, key=lambda t: t.value).number


def test_nothing_is_logged_or_stored_twice_and_nothing_is_missing(story: Story) -> None:
    from mlflow import MlflowClient

    where = tracking.Tracking(story.settings.tracking_uri, story.settings.embedded_artifacts)
    client = MlflowClient(story.settings.tracking_uri, story.settings.tracking_uri)
    at = client.get_run(tracking.find(where, story.told["run"]["run_id"]).run_id).info.experiment_id
    runs = client.search_runs([at])
    assert max(Counter(r.info.run_name for r in runs).values()) == 1
    # Of the trials that were killed, those whose heartbeat was missed in time are there too, as failed.
    finished = Counter(r.data.tags["daycast.kind"] for r in runs if r.info.status == "FINISHED")
    assert finished == {"run": 1, "model": 2, "trial": TRIALS}
    assert {r.data.tags["daycast.kind"] for r in runs if r.info.status != "FINISHED"} <= {"trial"}
    assert story.told["forecast"]["n_rows"] == story.told["forecast"]["new_rows"] == 14
    engine = create_engine(story.settings.store_url)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from forecasts")).scalar_one() == 14
    engine.dispose()


def test_what_had_been_done_before_the_worker_died_is_not_done_again(story: Story) -> None:
    starts = Counter(line for line in story.lines if line.endswith(": running\n") and line.startswith("part gru"))
    assert len(starts) >= 2
    assert sum(n > 1 for n in starts.values()) <= 1  # what the killed worker was at
