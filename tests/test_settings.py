"""Where things are kept: from the environment, and nothing changes before it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daycast import settings
from daycast.errors import ConfigError
from daycast.settings import QUIET

NAMES = ("DAYCAST_ROOT", "DAYCAST_STATE", "DAYCAST_STUDIES_URL", "DAYCAST_STORE_URL", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """None of our names is set, and what a test sets is gone afterwards."""
    before = dict(os.environ)
    for name in (*NAMES, *QUIET, "PREFECT_HOME", "OMP_NUM_THREADS", "PREFECT_LOGGING_LEVEL"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The least that counts as a project."""
    folder = tmp_path / "a project"
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "config.yaml").touch()
    (folder / "dvc.yaml").touch()
    return folder.resolve()


def test_the_project_is_found_from_any_folder_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "conf" / "model")
    assert settings.load().root == project


def test_outside_a_project_the_error_says_where_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"{tmp_path}[\\s\\S]*DAYCAST_ROOT"):
        settings.load()


def test_a_named_root_that_is_no_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match="DAYCAST_ROOT to be a daycast project"):
        settings.load()


def test_all_embedded_state_has_one_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(project))
    here = settings.load()
    assert here.state == project / ".daycast"
    for url in (here.tracking_uri, here.studies_url, here.store_url):
        assert url.startswith(f"sqlite:///{here.state}/")
    assert here.embedded_artifacts.is_relative_to(here.state)
    assert here.cache("fit", "abc").is_relative_to(here.state)


def test_servers_and_the_state_folder_come_from_the_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "DAYCAST_ROOT": str(project),
        "DAYCAST_STATE": str(project / "elsewhere"),
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "DAYCAST_STUDIES_URL": "postgresql://a/b",
        "DAYCAST_STORE_URL": "postgresql://c/d",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    here = settings.load()
    assert (here.state, here.tracking_uri) == (project / "elsewhere", "http://mlflow:5000")
    assert (here.studies_url, here.store_url) == ("postgresql://a/b", "postgresql://c/d")


def test_reading_the_environment_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(project))
    before, files = dict(os.environ), sorted(project.rglob("*"))
    settings.load()
    assert dict(os.environ) == before
    assert sorted(project.rglob("*")) == files


def test_applied_settings_silence_the_tools_but_what_the_user_set_stands(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(project))
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "true")
    here = settings.load()
    settings.apply(here)
    assert here.state.is_dir()
    assert os.environ["GX_ANALYTICS_ENABLED"] == "true"
    assert {name: os.environ[name] for name in QUIET} == {**QUIET, "GX_ANALYTICS_ENABLED": "true"}
    assert os.environ["PREFECT_HOME"].startswith(str(here.state))
    assert os.environ["MLFLOW_TRACKING_URI"] == here.tracking_uri


def test_debugging_lets_the_tools_speak(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(project))
    settings.apply(settings.load(), debug=True)
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "INFO"
