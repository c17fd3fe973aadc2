"""`daycast reproduce-run` and `daycast lineage` as commands: real processes, real training, real exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.project import Project, environment

from daycast.adapters import registry, store, tracking
from daycast.steps import repeat
from daycast.steps.outcomes import Outcome

pytestmark = pytest.mark.xdist_group("flows")
NAIVE = "model=[naive,seasonal_naive]"


def started(project: Project, *words: str) -> subprocess.Popen[str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_"))}
    command = [sys.executable, "-m", "daycast", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=project.settings.root, env=own, stdout=pipe, stderr=pipe, text=True)


def daycast(project: Project, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with started(project, *words) as process:
        out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def as_it_is(project: Project) -> dict[str, Any]:
    """All that a reproduction has to leave alone."""
    uri, root = project.settings.tracking_uri, project.settings.root
    client = MlflowClient(uri, uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=5000)
    with store.opened(project.settings.store_url) as engine:
        rows, moves = store.read_forecasts(engine, "tiny"), store.read_promotions(engine, "tiny")
    files = [f for f in (root / "data").rglob("*") if f.is_file()] + [root / "dvc.lock"]
    cache = project.settings.state / "cache"
    return {
        "runs": {run.info.run_id: run.info.end_time for run in runs},
        "versions": registry.versions(uri, "daycast-tiny"),
        "rows": len(rows),
        "moves": moves.to_json(),
        "files": {str(f): (f.stat().st_mtime_ns, f.read_bytes()) for f in files},
        "cached": sorted(str(f) for f in cache.glob("*/*")),
        "reproduced": sorted(os.listdir(project.settings.state / "reproduced"))
        if (project.settings.state / "reproduced").is_dir()
        else [],
    }


@pytest.fixture
def run(trained: tuple[Project, Outcome], project: Project) -> str:
    """The run of all models, recorded by code and libraries that are the same now."""
    return trained[1].run.run_id if project is trained[0] else ""


@pytest.fixture(scope="module")
def naive(trained: tuple[Project, Outcome]) -> str:
    """A run that is quickly made again."""
    with environment(trained[0].settings):
        return trained[0].train(NAIVE, last="backtest").run.run_id


@contextmanager
def lost(files: list[Path]) -> Iterator[None]:
    """Inside the block, these files are gone."""
    kept = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    try:
        yield
    finally:
        for file, content in kept.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_bytes(content)
                file.chmod(0o444)


def copies(project: Project, md5: str) -> tuple[list[Path], list[Path]]:
    """The content in DVC's cache, and in its remote."""
    root = project.settings.root
    every = [f for f in (place / md5[:2] / md5[2:] for place in root.parent.rglob("files/md5")) if f.exists()]
    cached = [f for f in every if ".dvc/cache" in str(f)]
    return cached, [f for f in every if f not in cached]


def test_a_run_made_again_has_every_figure_to_the_last_bit_and_leaves_all_as_it_was(project: Project, run: str) -> None:
    before = as_it_is(project)
    code, out, err = daycast(project, "reproduce-run", run, "--json", "--quiet")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["agrees"], told["tolerance"], told["warnings"]) == (True, 0.0, [])
    for model in tracking.children(project.tracking, run):
        again = {line["metric"]: line["again"] for line in told["figures"] if line["model"] == model.name}
        assert again == dict(model.metrics)  # of each the last step
        assert len(again) >= 25
        steps = [
            line["step"] for line in told["figures"] if (line["model"], line["metric"]) == (model.name, "mae_by_step")
        ]
        assert steps == [1, 2, 3, 4, 5, 6, 7]
    whole = {line["metric"]: line["again"] for line in told["figures"] if line["model"] == repeat.WHOLE}
    assert whole == dict(tracking.find(project.tracking, run).metrics)
    assert as_it_is(project) == {**before, "reproduced": []}


@contextmanager
def tampered(project: Project, run: str, metric: str, step: int) -> Iterator[float]:
    """Inside the block, MLflow's database has three times the value of one step; the value that it had."""
    where, at = "where run_uuid=? and key=? and step=?", (run, metric, step)

    def put(value: float) -> None:
        with sqlite3.connect(project.settings.tracking_uri.removeprefix("sqlite:///")) as database:
            database.execute(f"update metrics set value=? {where}", (value, *at))

    with sqlite3.connect(project.settings.tracking_uri.removeprefix("sqlite:///")) as database:
        (before,) = database.execute(f"select value from metrics {where}", at).fetchone()
    put(3 * before)
    try:
        yield before
    finally:
        put(before)


def test_one_early_step_that_was_tampered_with_is_told_and_lost_data_come_back_from_the_remote(
    project: Project, naive: str
) -> None:
    child = next(m for m in tracking.children(project.tracking, naive) if m.name == "naive")
    cached, remote = copies(project, project.data.version)
    assert len(cached) == len(remote) == 1
    shutil.rmtree(cached[0].parent)
    with tampered(project, child.run_id, "mae_by_step", 2) as before:
        assert tracking.find(project.tracking, child.run_id).metrics == child.metrics  # which have the last step alone
        code, out, err = daycast(project, "reproduce-run", naive)
    assert code == 8, err
    assert "1 of " in out
    assert "figures differ" in out
    cells = [cell.strip() for cell in next(line for line in out.splitlines() if "mae_by_step" in line).split("│")[1:-1]]
    assert cells[:5] == ["naive", "mae_by_step", "2", f"{3 * before:.10g}", f"{before:.10g}"]
    assert "nothing that is known" in out
    assert out.count("in the remote, from where it is brought") == 1
    assert cached[0].is_file()


def test_data_that_are_nowhere_end_it_before_anything_is_trained(project: Project, naive: str) -> None:
    cached, remote = copies(project, project.data.version)
    with lost([*cached, *remote]):
        before = as_it_is(project)
        code, out, err = daycast(project, "reproduce-run", naive)
        assert code == 6
        assert "data/prepared/tiny.parquet" in err
        assert "MISSING" in out
        assert "fit " not in err
        code, out, _ = daycast(project, "lineage", naive)
        assert code == 8
        assert "MISSING file data/prepared/tiny.parquet" in out
        code, out, _ = daycast(project, "lineage", naive, "--json")
        told = json.loads(out)
        assert (code, told["whole"], len(told["broken"])) == (8, False, 1)
        assert as_it_is(project) == before


def test_a_dry_run_says_what_would_be_restored_and_what_is_otherwise_now(project: Project, naive: str) -> None:
    client = MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)
    tags = tracking.find(project.tracking, naive).tags
    client.set_tag(naive, "daycast.libraries", tags["daycast.libraries"].replace("numpy==", "numpy==0."))
    client.set_tag(naive, "daycast.cpu", "a slide rule")
    model = tracking.children(project.tracking, naive)[0].run_id
    before = as_it_is(project)
    try:
        code, out, _ = daycast(project, "reproduce-run", model, "--dry-run", "--json", "--tolerance", "0.1")
        told = json.loads(out)
    finally:
        for name in ("daycast.libraries", "daycast.cpu"):
            client.set_tag(naive, name, tags[name])
    assert code == 0
    assert (told["run_id"], told["models"]) == (naive, ["naive", "seasonal_naive"])  # the run that the model is of
    assert (told["tolerance"], told["devices"]) == (0.1, [])
    assert [file["where"] for file in told["files"]] == ["here"] * 3
    libraries, cpu = told["warnings"]
    assert libraries.startswith("libraries: numpy==0.")
    assert cpu.startswith("the processor: a slide rule then, ")
    assert as_it_is(project) == before


def test_ctrl_c_ends_it_and_leaves_nothing(project: Project, naive: str) -> None:
    before = as_it_is(project)
    folder = project.settings.state / "reproduced"
    with started(project, "reproduce-run", naive) as process:
        deadline = time.monotonic() + 300
        while not (folder.is_dir() and list(folder.glob("*/mlflow.db"))):  # it has begun to train
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command starts anew" in err
    assert "goes on" not in err
    assert {**as_it_is(project), "reproduced": []} == {**before, "reproduced": []}
    with repeat.apart(project.settings, naive):  # on a busy machine it may have had to end at once
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("reproduce-run", "0" * 32), 2, "daycast leaderboard --json"),
        (("reproduce-run", "foo"), 2, "`foo`, which no run has"),
        (("lineage", "0" * 32), 2, "daycast leaderboard --json"),
        (("lineage", "nonsense"), 2, "SERIES@TIME"),
        (("lineage", "forecast", "--cutoff", "2020-01-01"), 2, "--cutoff with SERIES@TIME"),
        (("lineage", "99"), 5, "version 99 of daycast-tiny"),
        (("lineage", "rail@1999-01-01"), 3, "daycast forecast dataset=tiny"),
    ],
)
def test_mistakes_end_in_a_message(project: Project, naive: str, words: tuple[str, ...], code: int, text: str) -> None:  # noqa: ARG001
    found, out, err = daycast(project, *words)
    assert found == code
    assert text in err
    assert out == ""


def test_a_run_without_figures_says_that_it_has_none(project: Project, naive: str) -> None:  # noqa: ARG001
    made = project.train(NAIVE, "seed=5", last="tune")
    code, _, err = daycast(project, "reproduce-run", made.run.run_id, "--dry-run")
    assert code == 3
    assert "which has none" in err


def test_the_lineage_of_a_forecast_is_a_tree_whose_paths_are_whole(project: Project, run: str) -> None:  # noqa: ARG001
    code, out, _ = daycast(project, "lineage", "forecast")
    assert code == 0
    assert "└──" in out
    with store.opened(project.settings.store_url) as engine:
        newest = store.newest_forecast(engine, "tiny")
    assert newest is not None
    assert f"id {newest['run_id']}" in out
    assert "/config.yaml\n" in out
    assert "the chain is whole" in out
