"""The command line as a user meets it who makes a mistake, or asks for help: real processes, real exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.project import lay_out

COMMANDS = [
    *(["run"], ["ingest"], ["validate"], ["prepare"], ["tune"], ["backtest"], ["forecast"], ["promote"]),
    *(
        ["reproduce"],
        ["reproduce-run"],
        ["lineage"],
        ["leaderboard"],
        ["alerts"],
        ["ui"],
        ["config", "show"],
        ["config", "schema"],
        ["data", "restore"],
        ["audit", "leakage"],
    ),
    *(["up"], ["down"], ["status"], ["deploy"], ["monitor"], ["backfill"], ["store", "status"], ["store", "upgrade"]),
]
PAST_THE_GATE = [
    [verb, "promotion=living", f"{spelled}promotion.champion=null"]
    for verb in ("run", "up", "deploy")
    for spelled in ("", "++")
]
HEAVY = ("torch", "pandas", "numpy", "mlflow", "prefect", "optuna", "great_expectations", "dvc", "hydra", "sqlalchemy")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on tiny data in which nothing has been run."""
    return lay_out(tmp_path_factory.mktemp("a project") / "fresh").root


def daycast(*words: str, at: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_"))}
    command = [sys.executable, "-m", "daycast", *words]
    return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_an_example_and_loads_nothing_heavy(words: list[str], project: Path) -> None:
    code = (
        "import sys; from daycast.cli import application; from typer.testing import CliRunner; "
        f"shown = CliRunner().invoke(application(), {[*words, '--help']!r}); print(shown.output); "
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert f"daycast {' '.join(words)}" in done.stdout.replace("\n", " ") or words == ["config", "schema"]
    assert "LOADED []" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["run", "dataset=tinny"], 2, "did you mean `tiny`"),
        (["run", "tuning.n_trial=3"], 2, "tuning.n_trials"),
        (["run", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
        *((words, 2, "promotion.champion=null") for words in PAST_THE_GATE),
        *(([verb, "++monitoring.calm_days=3"], 2, "monitoring.calm_days=3") for verb in ("up", "deploy")),
        (["ingest", "--from", "nothing.csv"], 3, "nothing.csv"),
        (["validate"], 3, "daycast ingest dataset=tiny"),
        (["prepare"], 3, "daycast ingest dataset=tiny"),
        (["leaderboard"], 3, "daycast run dataset=tiny"),
        (["promote", "--dry-run"], 3, "daycast run dataset=tiny"),
        (["forecast", "--as-of", "2019-10-15", "--quiet"], 5, "daycast run dataset=tiny"),
        (["forecast", "model=[gru]"], 2, "dataset=NAME alone"),
        (["backfill", "--from", "2019-06-01", "--to", "2019-06-02", "seed=3"], 2, "dataset=NAME alone"),
        (["alerts", "--quiet"], 3, "daycast ingest dataset=tiny"),
        (["alerts", "alert.threshold=2"], 2, "alert.threshold"),
        (["audit", "leakage", "--model", "nothing"], 2, "nothing"),
        (["data", "restore", "--run", "abc"], 2, "`abc`, which no run has"),
        (["monitor", "--dry-run"], 2, "--dry-run with --replay"),
        (["monitor", "--replay", "2019-06-01"], 2, "requires 2 arguments"),
        (["monitor", "--replay", "2019-06-01", "2019-07-01", "--fetch"], 2, "--replay beside --fetch"),
        (["monitor", "--replay", "2019-06-01", "2019-07-01", "--as-of", "2019-06-09"], 2, "--replay beside --as-of\n"),
        (["monitor", "--replay", "2019-06-01", "2019-07-01"], 3, "daycast ingest dataset=tiny"),
        (["reproduce", "--rows", "simple_rn"], 2, "did you mean `simple_rnn`"),
        (["reproduce", "--rows", "nope,simple_rn,gru"], 2, "`nope`, `simple_rn`"),
        (["reproduce", "--rows", ","], 2, "`,`"),
        (["reproduce", "--quick", "--quiet"], 3, "daycast ingest dataset=cta --from FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_a_message_and_its_exit_code(words: list[str], code: int, text: str, project: Path) -> None:
    done = daycast(*words, at=project)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("verb", ["deploy", "up"])
def test_a_training_that_could_not_start_is_no_schedule(verb: str, project: Path) -> None:
    file = project / "conf/dataset/plain.yaml"
    told = yaml.safe_load(file.with_name("tiny.yaml").read_text())
    file.write_text(yaml.safe_dump({**told, "name": "plain", "covariates": {"known": {}, "past": [], "static": {}}}))
    try:
        done = daycast(verb, "dataset=plain", at=project)
        run = daycast("run", "dataset=plain", at=project)
    finally:
        file.unlink()
    assert done.returncode == run.returncode == 2, done.stderr
    assert "these suit the dataset: model=[" in done.stderr
    assert done.stderr == run.stderr


def test_a_mistake_is_told_to_machines_too(project: Path) -> None:
    done = daycast("leaderboard", "--json", at=project)
    told = json.loads(done.stdout)["error"]
    assert (done.returncode, told["exit_code"], told["type"]) == (3, 3, "DataError")
    assert told["found"] in done.stderr
    assert "daycast run dataset=tiny" in told["fix"]


def test_debug_shows_the_trace(project: Path) -> None:
    done = daycast("validate", "--debug", at=project)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_outside_a_project_it_says_where_to_go(tmp_path: Path) -> None:
    done = daycast("config", "show", at=tmp_path)
    assert done.returncode == 2
    assert "DAYCAST_ROOT" in done.stderr


def test_it_works_from_a_folder_below(project: Path) -> None:
    done = daycast("config", "show", "--json", at=project / "conf" / "model")
    assert json.loads(done.stdout)["dataset"]["name"] == "tiny"


@pytest.mark.parametrize("words", [["config", "schema"], ["run", "--dry-run", "--json"]], ids=" ".join)
def test_machines_get_one_document(words: list[str], project: Path) -> None:
    done = daycast(*words, at=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_a_dry_run_changes_nothing(project: Path) -> None:
    before = sorted(p for p in project.rglob("*") if ".daycast" not in p.parts and "__pycache__" not in p.parts)
    done = daycast("run", "--dry-run", at=project)
    assert "to run" in done.stdout
    after = sorted(p for p in project.rglob("*") if ".daycast" not in p.parts and "__pycache__" not in p.parts)
    assert before == after


@pytest.mark.parametrize("words", [["run", "--dry-run"], ["run"], ["tune"], ["backtest"], ["alerts"]], ids=" ".join)
def test_a_gpu_that_is_not_there_is_told_before_any_work(words: list[str], tmp_path: Path) -> None:
    import torch

    if torch.accelerator.is_available():
        pytest.skip("there is a GPU here")
    project = lay_out(tmp_path / "fresh").root
    done = daycast(*words, "trainer=gpu", at=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected: a GPU that torch can use, for trainer.accelerator: gpu" in done.stderr
    assert "trainer=default" in done.stderr
    assert not (project / ".daycast" / "prefect").exists()
    assert not (project / "data" / "raw" / "tiny").exists()


def test_a_gpu_that_is_not_there_can_be_shown_in_the_configuration(project: Path) -> None:
    done = daycast("config", "show", "trainer=gpu", at=project)
    assert done.returncode == 0
    assert "accelerator: gpu" in done.stdout
