"""kill -9 in the middle of a search: the same command finishes the work, with nothing lost and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.project import Project, environment

from daycast.adapters import tracking
from daycast.steps import keys

pytestmark = pytest.mark.xdist_group("flows")

TRIALS = 6
# Long enough to be killed in, and with room to search in, so that no two trials draw the same parameters.
GIVEN = ["model=[naive,gru]", "seed=99", f"tuning.n_trials={TRIALS}", "tuning.pruner=none", "trainer.max_epochs=25"]


@dataclass(frozen=True)
class Story:
    """What a killed run had finished, and what the run after it came to."""

    project: Project
    before: list[dict[str, Any]]
    orphans: list[str]
    told: dict[str, Any]
    progress: str


def trials(project: Project, study: str) -> list[dict[str, Any]]:
    """A study's trials: number, state, parameters, value and end; none while there is no study."""
    import optuna

    try:
        found = optuna.load_study(study_name=study, storage=project.settings.studies_url)
    except (KeyError, optuna.exceptions.StorageInternalError):
        return []
    return [
        {"number": t.number, "state": t.state.name, "params": t.params, "value": t.value, "end": t.datetime_complete}
        for t in found.get_trials(deepcopy=False)
    ]


def command() -> subprocess.Popen[str]:
    """The run, with an embedded Prefect server of its own."""
    words = [sys.executable, "-m", "daycast", "run", *GIVEN, "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> set[int]:
    """Processes that this one has started."""
    found = " ".join(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children"))
    return {int(word) for word in found.split()}


def running(pids: set[int]) -> list[str]:
    """Command lines of those that still run, after some seconds to end."""
    for _ in range(100):
        left = [p for p in pids if Path(f"/proc/{p}/cmdline").exists() and Path(f"/proc/{p}/cmdline").read_text()]
        if not left:
            break
        time.sleep(0.1)
    return [Path(f"/proc/{p}/cmdline").read_text() for p in left]


@pytest.fixture(scope="module")
def story(trained: tuple[Project, Any]) -> Iterator[Story]:
    project = trained[0]
    with environment(project.settings):
        study = f"tiny-gru-{keys.search(project.config(*GIVEN), project.data, 'gru')}"
        killed = command()
        while sum(t["state"] == "COMPLETE" for t in trials(project, study)) < 2:
            assert killed.poll() is None, killed.communicate()[1]
            time.sleep(0.2)
        started = children(killed.pid)
        assert started  # the embedded server among them
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        before = [t for t in trials(project, study) if t["state"] == "COMPLETE"]
        assert 2 <= len(before) < TRIALS
        orphans = running(started)
        again = command()
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, err
        yield Story(project, before, orphans, json.loads(out), err)


def test_a_killed_run_leaves_no_process_behind(story: Story) -> None:
    assert story.orphans == []


def test_finished_trials_are_not_repeated_and_as_many_finish_as_were_asked_for(story: Story) -> None:
    (gru,) = [t for t in story.told["tuned"] if t["model"] == "gru"]
    assert gru["n_trials"] == TRIALS
    after = {t["number"]: t for t in trials(story.project, gru["study"])}
    assert [after[t["number"]] for t in story.before] == story.before
    states = Counter(t["state"] for t in after.values())
    assert states["COMPLETE"] == TRIALS
    assert len(after) <= TRIALS + 1  # the one that was killed stays on paper
    assert f"tune gru: trial {len(story.before)} of {TRIALS}" in story.progress


def test_there_is_one_run_with_as_many_trials_as_finished(story: Story) -> None:
    from mlflow import MlflowClient

    uri = story.project.settings.tracking_uri
    run = tracking.find(story.project.tracking, story.told["run"]["run_id"])
    client = MlflowClient(uri, uri)
    at = client.get_run(run.run_id).info.experiment_id
    hashed = run.tags["daycast.config_hash"]
    own = client.search_runs([at], f"tags.`daycast.config_hash` = '{hashed}'")
    kinds = Counter(r.data.tags["daycast.kind"] for r in own)
    assert kinds == {"run": 1, "model": 2, "trial": TRIALS}
    assert {r.info.status for r in own} == {"FINISHED"}


def test_what_had_finished_before_the_kill_is_taken_from_the_cache(story: Story) -> None:
    assert "tune naive: unchanged, taken from the cache" in story.progress


def test_the_run_ends_as_if_nothing_had_been(story: Story) -> None:
    assert story.told["champion"]["version"]
    assert story.told["forecast"]["n_rows"] == 14
