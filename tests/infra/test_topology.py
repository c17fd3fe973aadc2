"""A team's server, for real: the services of ``infra/compose.yaml``, workers that know only addresses and passwords.

A full training run over it, a second machine that forecasts with the champion, and a backup that brings all of it back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
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
from tests.infra.topology import INFRA, Topology
from tests.project import lay_out

pytestmark = [pytest.mark.xdist_group("topology"), pytest.mark.timeout(900)]

DATABASES = ("mlflow", "prefect", "store", "studies")
SERVICES = ("s3", "mlflow", "prefect")
MODELS = "model=[seasonal_naive,gru]"


@dataclass
class Worker:
    """A machine: a fresh checkout, an empty state folder, and an environment of addresses and passwords."""

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

    def set_up(self) -> None:
        """What compose.yaml's service ``setup`` does, on a machine whose folder no worker has."""
        with tempfile.TemporaryDirectory(prefix="daycast-setup-") as room:
            root = Path(room) / "app"
            subprocess.run(["git", "clone", "-q", self.origin, root], check=True, capture_output=True)
            more = {"DAYCAST_ROOT": str(root), "DAYCAST_STATE": str(root / ".daycast"), "DATASETS": "tiny"}
            self.stack.run("setup", str(INFRA / "setup"), **more)

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
        made.set_up()
        yield made


@pytest.fixture(scope="module")
def first(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """The machine that has the source file."""
    return team.worker(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def trained(team: Team, first: Worker) -> pd.DataFrame:
    """The champion's forecast, after a training run that was sent to the first worker; its source file is gone then."""
    words = ["prefect", "--no-prompt", "deployment", "run", "training/tiny", "--watch"]
    words += ["--param", f"overrides={json.dumps(['dataset=tiny', MODELS])}"]
    with team.stack.working(first.environment):
        done = subprocess.run(words, env=first.environment, capture_output=True, text=True, check=False)
    log = (team.stack.folder / f"worker-{first.root.parent.name}.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    team.source.unlink()
    return team.forecasts()


def test_without_a_password_no_server_tells_anything(team: Team) -> None:
    asked = {
        team.stack.address("mlflow") + "/api/2.0/mlflow/experiments/search?max_results=1": 401,
        team.stack.address("prefect") + "/api/admin/version": 401,
        team.stack.address("s3") + "/dvc": 400,  # for want of a signature; a wrong one is 403
    }
    assert {address: httpx.get(address).status_code for address in asked} == asked


@pytest.mark.parametrize(
    ("command", "name", "value", "told"),
    [
        ("champion", "MLFLOW_TRACKING_PASSWORD", "wrong", "MLflow"),  # a forecast would be one without MLflow
        ("forecast", "PREFECT_API_AUTH_STRING", "daycast:wrong", "PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_worker_with_a_wrong_password_is_told_which(
    first: Worker, command: str, name: str, value: str, told: str
) -> None:
    refused = first.daycast(command, code=ToolError.exit_code, **{name: value})
    assert told in refused.stderr
    assert value not in refused.stderr.replace("wrong password", "")


def test_a_tools_role_reads_no_other_tools_database(team: Team) -> None:
    url = team.store.rpartition("/")[0] + "/mlflow"
    with pytest.raises(ToolError, match="permission denied"), store.opened(url):
        pass


def test_a_training_run_leaves_everything_that_matters_on_the_servers(
    team: Team, first: Worker, trained: pd.DataFrame
) -> None:
    (lineage,) = trained[["run_id", "data_version", "git_commit"]].drop_duplicates().to_dict("records")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=team.origin, capture_output=True, text=True, check=True)
    assert lineage["git_commit"] == head.stdout.strip()
    with create_engine(first.environment["DAYCAST_STUDIES_URL"]).connect() as studies:
        assert studies.execute(text("SELECT count(*) FROM trials WHERE state = 'COMPLETE'")).scalar_one() > 0
    objects, version = team.stack.folder / "objects", lineage["data_version"]
    assert (objects / "dvc" / "daycast" / "files" / "md5" / version[:2] / version[2:]).is_file()
    assert list((objects / "mlflow").rglob("*.safetensors"))
    here = {file.name for file in first.state.rglob("*.db")}
    assert {"mlflow.db", "studies.db", "forecasts.db", "prefect.db"} & here == set()
    assert not (first.root.parent / ".dvcstore").exists()
    assert not (team.origin / "data" / "prepared").exists()


@pytest.mark.usefixtures("trained")
def test_the_run_is_on_the_server_of_prefect(team: Team) -> None:
    address = team.stack.address("prefect") + "/api/flow_runs/filter"
    auth = ("daycast", team.stack.secret("prefect_password"))
    asked = {"flow_runs": {"name": {"like_": "training"}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    (run,) = httpx.post(address, json=asked, auth=auth).json()
    assert run["work_pool_name"] == "cpu"


def forecast(worker: Worker, before: pd.DataFrame) -> None:
    """The champion forecasts what it did before on a machine that never saw the source, from the servers alone.

    Data come by their version, the model by its alias; nothing is fitted.
    """
    worker.daycast("data", "restore", "--run", before["run_id"].iloc[0])
    made = worker.json("forecast")
    assert made["new_rows"] == 0
    columns = ["unique_id", "ds", "y_hat"]
    rows = pd.DataFrame(made["forecast"])[columns].assign(ds=lambda r: pd.to_datetime(r["ds"]))
    same = {"check_dtype": False, "rtol": 1e-12}
    pd.testing.assert_frame_equal(
        rows.sort_values(columns[:2], ignore_index=True),
        before[columns].sort_values(columns[:2], ignore_index=True),
        **same,
    )
    assert not (worker.state / "cache" / "fit").exists()


def test_a_second_machine_forecasts_with_the_champion_from_the_servers_alone(
    team: Team, trained: pd.DataFrame, tmp_path: Path
) -> None:
    forecast(team.worker(tmp_path), trained)
    pd.testing.assert_frame_equal(team.forecasts(), trained)


def remembered(team: Team) -> dict[str, list[str]]:
    """What the servers of Prefect and Optuna know: runs of training that completed, schedules, trials."""
    api, auth = team.stack.address("prefect") + "/api", ("daycast", team.stack.secret("prefect_password"))
    asked = {"flow_runs": {"name": {"like_": "training"}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    deployments = httpx.post(f"{api}/deployments/filter", json={}, auth=auth).json()
    with create_engine(team.stack.worker(Path(), Path())["DAYCAST_STUDIES_URL"]).connect() as studies:
        trials = studies.execute(text("SELECT study_id, number, state FROM trials ORDER BY trial_id")).all()
    return {
        "runs": sorted(run["id"] for run in httpx.post(f"{api}/flow_runs/filter", json=asked, auth=auth).json()),
        "schedules": sorted(s["id"] for one in deployments for s in one["schedules"]),
        "trials": [str(trial) for trial in trials],
    }


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
    team: Team, trained: pd.DataFrame, tmp_path: Path
) -> None:
    kept = tmp_path / "backups, of all"
    for _ in range(2):
        newest = team.stack.run("backup", "infra/backup", str(kept)).stdout.strip()
    assert sorted(file.name for file in Path(newest).iterdir()) == ["SHA256SUMS", *(f"{d}.dump" for d in DATABASES)]

    before = remembered(team)
    assert all(before.values())

    team.running.close()
    wipe(team)
    team.stack.databases()
    team.up("s3")
    (team.stack.folder / "secrets" / "mlflow_admin_password").write_text("another one, as the old one was lost")
    team.stack.run("backup", "infra/restore", str(kept))
    team.up("mlflow", "prefect")
    assert remembered(team) == before
    team.set_up()

    pd.testing.assert_frame_equal(team.forecasts(), trained)
    forecast(team.worker(tmp_path), trained)
    pd.testing.assert_frame_equal(team.forecasts(), trained)


def test_a_backup_without_its_objects_is_not_restored(team: Team, tmp_path: Path) -> None:
    newest = Path(team.stack.run("backup", "infra/backup", str(tmp_path / "whole")).stdout.strip())
    shutil.copytree(newest, tmp_path / "part" / newest.name)
    with pytest.raises(AssertionError, match="copy the whole of the backups' folder"):
        team.stack.run("backup", "infra/restore", str(tmp_path / "part"))


def test_a_restore_into_databases_that_hold_something_changes_nothing(team: Team, tmp_path: Path) -> None:
    before = team.forecasts()
    team.stack.run("backup", "infra/backup", str(tmp_path))
    with pytest.raises(AssertionError, match="already exists"):
        team.stack.run("backup", "infra/restore", str(tmp_path))
    pd.testing.assert_frame_equal(team.forecasts(), before)
