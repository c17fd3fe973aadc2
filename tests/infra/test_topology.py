"""A team's server, for real: the services of ``infra/compose.yaml``, workers that know only addresses and passwords.

A full training run over it, a second machine that forecasts with the champion, and a backup that brings all of it back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml
from sqlalchemy import create_engine, text

from daycast.adapters import store
from daycast.core.simulate import ridership
from daycast.errors import ToolError
from tests.conftest import ROOT
from tests.infra import topology
from tests.infra.topology import Topology
from tests.project import lay_out

pytestmark = [pytest.mark.xdist_group("topology"), pytest.mark.timeout(900)]

DATABASES = ("mlflow", "prefect", "store", "studies")
SERVICES = ("s3", "mlflow", "prefect")
MODELS = "model=[naive,seasonal_naive,gru]"


@dataclass
class Worker:
    """A machine: a fresh checkout, an empty state folder, and what its environment tells it."""

    root: Path
    environment: dict[str, str]

    @property
    def state(self) -> Path:
        return Path(self.environment["DAYCAST_STATE"])

    def daycast(self, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "daycast", *words]
        env = self.environment | more
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *words: str) -> dict[str, Any]:
        return json.loads(self.daycast(*words, "--json").stdout)


@dataclass
class Team:
    """What the workers have in common: the servers, and the project's git repository."""

    stack: Topology
    origin: Path
    source: Path
    running: ExitStack

    def up(self, *services: str) -> None:
        """Have these services running."""
        self.running.enter_context(self.stack.up(*services))

    def worker(self, folder: Path) -> Worker:
        """A machine that joins with nothing of its own."""
        subprocess.run(["git", "clone", "-q", self.origin, folder / "checkout"], check=True, capture_output=True)
        (folder / "state").mkdir()
        return Worker(folder / "checkout", self.stack.worker(folder / "checkout", folder / "state"))

    @property
    def store(self) -> str:
        """Address of the forecast store."""
        return self.stack.worker(Path(), Path())["DAYCAST_STORE_URL"]

    def forecasts(self) -> pd.DataFrame:
        """All rows of the forecast store."""
        with store.opened(self.store) as engine:
            return store.read_forecasts(engine, "tiny")


def described(root: Path, source: Path) -> None:
    """Let the project's dataset come from a file, which a machine has or has not; committed."""
    shutil.copytree(ROOT / "flows", root / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    lay_out(root)
    file = root / "conf/dataset/tiny.yaml"
    told = yaml.safe_load(file.read_text())
    told |= {"source": {"kind": "file", "path": str(source)}, "simulated": False}
    file.write_text(yaml.safe_dump(told, sort_keys=False))
    ridership(7, "2018-01-01", 2).to_csv(source, index=False)
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run([*git, "commit", "-qam", "a file"], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The servers up and set up."""
    folder = tmp_path_factory.mktemp("a team")
    described(folder / "origin", folder / "source.csv")
    with topology.laid_out() as stack, ExitStack() as running:
        made = Team(stack, folder / "origin", folder / "source.csv", running)
        made.up(*SERVICES)
        stack.run("setup", "infra/setup")
        yield made


@pytest.fixture(scope="module")
def first(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """The machine that has the source file."""
    return team.worker(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def trained(team: Team, first: Worker) -> dict[str, Any]:
    """What the first worker's training run came to; the source file is gone afterwards."""
    outcome = first.json("run", MODELS)
    team.source.unlink()
    return outcome


def test_without_a_password_no_server_tells_anything(team: Team) -> None:
    asked = {
        team.stack.address("mlflow") + "/api/2.0/mlflow/experiments/search?max_results=1": 401,
        team.stack.address("prefect") + "/api/admin/version": 401,
        team.stack.address("s3") + "/dvc": 400,  # for want of a signature; a wrong one is 403
    }
    assert {address: httpx.get(address).status_code for address in asked} == asked


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "wrong", "MLflow"),
        ("PREFECT_API_AUTH_STRING", "daycast:wrong", "PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_worker_with_a_wrong_password_is_told_which(first: Worker, name: str, value: str, told: str) -> None:
    refused = first.daycast("forecast", code=ToolError.exit_code, **{name: value})
    assert told in refused.stderr
    assert value not in refused.stderr.replace("wrong password", "")


def test_a_tools_role_reads_no_other_tools_database(team: Team) -> None:
    url = team.store.rpartition("/")[0] + "/mlflow"
    with pytest.raises(ToolError, match="permission denied"), store.opened(url):
        pass


def test_a_training_run_leaves_everything_that_matters_on_the_servers(
    team: Team, first: Worker, trained: dict[str, Any]
) -> None:
    rows = team.forecasts()
    assert len(rows) == trained["forecast"]["n_rows"] > 0
    assert set(rows["run_id"]) == {trained["run"]["run_id"]}
    with create_engine(first.environment["DAYCAST_STUDIES_URL"]).connect() as studies:
        assert studies.execute(text("SELECT count(*) FROM trials WHERE state = 'COMPLETE'")).scalar_one() > 0
    objects = team.stack.folder / "objects"
    version = trained["data"]["version"]
    assert (objects / "dvc" / "daycast" / "files" / "md5" / version[:2] / version[2:]).is_file()
    assert list((objects / "mlflow").rglob("*.safetensors"))
    here = [file.name for file in first.state.rglob("*.db")]
    assert {"mlflow.db", "studies.db", "forecasts.db"} & set(here) == set()
    assert not (first.root.parent / ".dvcstore").exists()


def test_the_run_is_on_the_server_of_prefect(team: Team, trained: dict[str, Any]) -> None:
    address = team.stack.address("prefect") + "/api/flow_runs/filter"
    auth = ("daycast", team.stack.secret("prefect_password"))
    runs = httpx.post(address, json={}, auth=auth).json()
    assert [(run["name"], run["state_name"]) for run in runs if run["state_type"] == "COMPLETED"] == [
        (f"training {MODELS}", "Completed")
    ]


def forecast(worker: Worker, run_id: str) -> pd.DataFrame:
    """The champion's forecast on a machine that never saw the source: data by their version, the model by its alias."""
    worker.daycast("data", "restore", "--run", run_id)
    made = worker.json("forecast", "--horizon", "7")
    assert made["new_rows"] == 0, "it should have been there already"
    return pd.DataFrame(made["forecast"])


def test_a_second_machine_forecasts_with_the_champion_from_the_servers_alone(
    team: Team, trained: dict[str, Any], tmp_path: Path
) -> None:
    before = team.forecasts()
    second = team.worker(tmp_path)
    made = forecast(second, trained["run"]["run_id"])
    pd.testing.assert_frame_equal(made, pd.DataFrame(trained["forecast"]["forecast"]))
    pd.testing.assert_frame_equal(team.forecasts(), before)
    assert not (second.state / "cache" / "fit").exists()  # it fitted nothing


def wipe(team: Team) -> None:
    """Lose every database and every object."""
    user, password = team.stack.superuser
    url = f"postgresql+psycopg2://{user}:{password}@127.0.0.1:{team.stack.ports['postgres']}/postgres"
    with create_engine(url).connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        for database in DATABASES:
            server.execute(text(f"DROP DATABASE {database} WITH (FORCE)"))
    for bucket in (team.stack.folder / "objects").iterdir():
        shutil.rmtree(bucket)


def test_after_a_backup_a_wipe_and_a_restore_the_champion_still_forecasts_the_same(
    team: Team, trained: dict[str, Any], tmp_path: Path
) -> None:
    before = team.forecasts()
    kept = tmp_path / "backups, of all"
    for _ in range(2):
        newest = team.stack.run("backup", "infra/backup", str(kept)).stdout.strip()
    assert sorted(file.name for file in Path(newest).iterdir()) == ["SHA256SUMS", *(f"{d}.dump" for d in DATABASES)]

    team.running.close()
    wipe(team)
    team.stack.databases()
    team.up("s3")
    team.stack.run("backup", "infra/restore", str(kept))
    team.up("mlflow", "prefect")
    team.stack.run("setup", "infra/setup")

    pd.testing.assert_frame_equal(team.forecasts(), before)
    made = forecast(team.worker(tmp_path), trained["run"]["run_id"])
    pd.testing.assert_frame_equal(made, pd.DataFrame(trained["forecast"]["forecast"]))
    pd.testing.assert_frame_equal(team.forecasts(), before)


def test_a_restore_into_databases_that_hold_something_changes_nothing(team: Team, tmp_path: Path) -> None:
    before = team.forecasts()
    team.stack.run("backup", "infra/backup", str(tmp_path))
    with pytest.raises(AssertionError, match="already exists"):
        team.stack.run("backup", "infra/restore", str(tmp_path))
    pd.testing.assert_frame_equal(team.forecasts(), before)
