"""A scratch project on tiny data, in which the real path is run: DVC, Prefect, Optuna and MLflow, nothing faked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from daycast import settings as daycast_settings
from daycast.adapters import registry, tracking
from daycast.config import Config, compose
from daycast.settings import Settings
from daycast.steps import progress
from daycast.steps.outcomes import ForecastRef, Outcome
from daycast.steps.reference import DataRef
from tests.conftest import ROOT

SHIPPED = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
    "dvc.yaml",
    "prefect.yaml",
    "conf",
    "src",
)
MODELS = ("naive", "seasonal_naive", "day_type_naive", "sarima", "gru")
TINY = [f"model=[{','.join(MODELS)}]"]  # all else that is tiny is in the project's conf/config.yaml

BACKTEST = """
name: tiny
horizon: 7
step_size: 7
n_targets: 35
first_target: null
last_target: null
fit_cutoff: null
start: null
n_folds: 2
fold_targets: 28
series: null
metric: mase
intervals:
  method: adaptive
  source: head
  scale: additive
  levels: [0.025, 0.1, 0.5, 0.9, 0.975]
  rate: 0.005
  window: 365
"""
TRAINER = {"name": "tiny", "max_epochs": 2, "patience": 2, "validation_steps": 30}
TUNING = {"name": "tiny", "n_trials": 2, "n_startup_trials": 1, "warmup_epochs": 1, "seeds": 2}
SMALL: dict[str, dict[str, Any]] = {
    "recurrent": {"lookback": 14, "hidden": 6, "search": {"hidden": {"kind": "choice", "values": [4, 6]}}},
    "sarima": {"order": [1, 0, 0], "seasonal_order": [0, 1, 0], "known": ["holiday"], "train_steps": 120},
    "auto_arima": {"known": ["holiday"], "train_steps": 60},
    "auto_ets": {"train_steps": 60},
    "mstl": {"season_lengths": [7, 28], "train_steps": 120},
    "lightgbm": {"rounds": 20, "bags": 2},
}  # by family


@dataclass
class Project:
    """A project folder, and what happened in it.

    Attributes:
        settings: where it keeps things.
        events: what the steps told since the last ``clear``.
    """

    settings: Settings
    events: list[progress.Event] = field(default_factory=list)

    def config(self, *overrides: str) -> Config:
        """The configuration with overrides; the shipped models but for ``model=...`` are ``MODELS``."""
        return compose(self.settings.root, self.overrides(overrides))

    def overrides(self, given: Sequence[str]) -> list[str]:
        """With the models of ``MODELS`` unless others are given."""
        return [*([] if any(o.startswith("model=") for o in given) else TINY), *given]

    def train(self, *overrides: str, last: str = "forecast", as_of: date | None = None) -> Outcome:
        """Run the training flow; ``events`` then hold this run's alone."""
        from flows.running import start
        from flows.training import training

        self.events.clear()
        return start(training, overrides=self.overrides(overrides), last=last, as_of=as_of)

    def forecast(self, **given: Any) -> ForecastRef:
        """Run the forecasting flow, without asking the source for newer data."""
        from flows.forecasting import forecasting
        from flows.running import start

        self.events.clear()
        return start(forecasting, dataset="tiny", fetch=False, **given)

    @property
    def cached(self) -> set[str]:
        """What was taken from the cache, as ``step subject``."""
        return {f"{e.step} {e.subject}" for e in self.events if "cache" in e.note}

    @property
    def ran(self) -> set[str]:
        """What ran, as ``step subject``."""
        return {f"{e.step} {e.subject}" for e in self.events if e.note == "running"}

    @property
    def tracking(self) -> tracking.Tracking:
        """Its MLflow store."""
        return tracking.Tracking(self.settings.tracking_uri, self.settings.embedded_artifacts)

    @property
    def data(self) -> DataRef:
        """The data version in force."""
        from daycast.steps.data import in_force

        return in_force(self.settings, "tiny")

    def kept(self, step: str) -> set[str]:
        """Keys of a step's results on disk."""
        folder = self.settings.state / "cache" / step
        return {p.name for p in folder.iterdir() if not p.name.startswith(".")} if folder.is_dir() else set()


def shrink(root: Path) -> None:
    """Give a project's ``conf`` a dataset ``tiny`` of two simulated years, and everything small enough for a test."""
    conf = root / "conf"

    def change(file: Path, into: Path, values: dict[str, Any], inside: str | None = None) -> None:
        told = yaml.safe_load(file.read_text())
        (told if inside is None else told[inside]).update(values)
        into.write_text(yaml.safe_dump(told, sort_keys=False))

    sample = yaml.safe_load((conf / "dataset/sample.yaml").read_text())
    source = {**sample["source"], "years": 2}
    calendar = {**sample["calendar"], "future_steps": 60}
    values = {"name": "tiny", "title": "SIMULATED, tiny", "source": source, "calendar": calendar}
    change(conf / "dataset/sample.yaml", conf / "dataset/tiny.yaml", values)
    (conf / "backtest/tiny.yaml").write_text(BACKTEST)
    change(conf / "trainer/default.yaml", conf / "trainer/tiny.yaml", TRAINER)
    change(conf / "tuning/quick.yaml", conf / "tuning/tiny.yaml", TUNING)
    for file in (conf / "model").glob("*.yaml"):
        (name, told), *_ = yaml.safe_load(file.read_text()).items()
        change(file, file, SMALL.get(told["family"], {}), name)
    gate = conf / "promotion/default.yaml"  # without a champion to beat: each test's winner takes its place
    change(gate, gate, {"champion": None})
    chosen = yaml.safe_load((conf / "config.yaml").read_text())
    tiny = {"dataset": "tiny", "backtest": "tiny", "tuning": "tiny", "trainer": "tiny"}
    chosen["defaults"] = [
        {group: tiny.get(group, choice) for group, choice in entry.items()} if isinstance(entry, dict) else entry
        for entry in chosen["defaults"]
    ]
    (conf / "config.yaml").write_text(yaml.safe_dump(chosen, sort_keys=False))
    stages = yaml.safe_load((root / "dvc.yaml").read_text())
    for stage in stages["stages"].values():
        stage["matrix"]["dataset"] = ["tiny"]
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))


def ship(root: Path) -> None:
    """Copy what is shipped to ``root``, without any data or record of it."""
    for name in SHIPPED:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copyfile(ROOT / name, target)


def lay_out(root: Path) -> Settings:
    """Copy what is shipped to ``root``, shrink it, and commit it to git."""
    ship(root)
    shrink(root)
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tiny"]):
        subprocess.run([*git, *words], cwd=root, check=True, capture_output=True)
    state = root / ".daycast"
    url = f"sqlite:///{state}"
    return Settings(root, state, f"{url}/mlflow.db", f"{url}/studies.db", f"{url}/forecasts.db")


@contextmanager
def environment(settings: Settings) -> Iterator[None]:
    """This process's environment as the command line would have it in the project, and nothing of it afterwards."""
    before = dict(os.environ)
    for name in ("DAYCAST_STATE", "DAYCAST_STUDIES_URL", "DAYCAST_STORE_URL", "MLFLOW_TRACKING_URI", "PREFECT_HOME"):
        os.environ.pop(name, None)
    os.environ["DAYCAST_ROOT"] = str(settings.root)
    daycast_settings.apply(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def prefect_server(settings: Settings) -> Iterator[None]:
    """Prefect's test server, and results kept in the project."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    # No heartbeat: its thread makes every flow wait a second for its end.
    changes = {PREFECT_HOME: settings.state / "prefect", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(changes), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Outcome]]:
    """A project in which the training flow has run once, with what it came to; shared by all tests that ask for it."""
    settings = lay_out(tmp_path_factory.mktemp("a project") / "of its own")
    with environment(settings), prefect_server(settings):
        project = Project(settings)
        with progress.listening(project.events.append):
            yield project, project.train()


@pytest.fixture(scope="session")
def network(trained: tuple[Project, Outcome]) -> str:
    """Number of a registered version of a network with quantiles of its own; the champion is what it was."""
    project, _ = trained
    uri, name = project.settings.tracking_uri, "daycast-tiny"
    with environment(project.settings):
        before = registry.by_alias(uri, name, "champion")
        project.train("model=[naive,seasonal_naive,gru_quantiles]", "promotion.margin=0.99")
        if before is not None:
            registry.set_alias(uri, name, "champion", before.number)
        return next(v.number for v in registry.versions(uri, name) if v.tags["daycast.model"] == "gru_quantiles")


@pytest.fixture
def project(trained: tuple[Project, Outcome]) -> Iterator[Project]:
    """The project, its environment in force."""
    with environment(trained[0].settings):
        yield trained[0]
