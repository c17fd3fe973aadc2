"""What a run that is made again may come out like: its tolerance and its warnings, by what was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import yaml
from mlflow import MlflowClient
from tests.project import Project

from daycast.adapters import tracking
from daycast.core.content import key
from daycast.errors import ConfigError, ToolError
from daycast.steps import repeat
from daycast.steps.outcomes import Outcome

pytestmark = pytest.mark.xdist_group("flows")


@pytest.fixture
def copy(trained: tuple[Project, Outcome], project: Project) -> Iterator[str]:
    """A run with the record of the trained one and a model that was trained on a GPU; deleted afterwards."""
    source = tracking.find(project.tracking, trained[1].run.run_id)
    own = ("daycast.key", "daycast.run_id")
    tags = {n: v for n, v in source.tags.items() if n.startswith("daycast.") and n not in own}
    made = tracking.open_run(project.tracking, "tiny", key("a copy"), "a copy", tags, {})
    for name in ("config.yaml", "data_pointers.json"):
        tracking.put(project.tracking, made, {name: tracking.text(project.tracking, source.run_id, name)})
    told = {"daycast.model": "gru", "daycast.run_id": made}
    child = tracking.child(project.tracking, made, key("its gru"), "gru", told, {"device": "NVIDIA H200"})
    yield made
    for run in (child, made):
        MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri).delete_run(run)


@pytest.mark.parametrize(("deterministic", "tolerance"), [(True, 0.001), (False, 0.05)])
def test_a_run_on_a_gpu_may_come_out_a_little_otherwise_and_in_its_fast_mode_more(
    project: Project, copy: str, deterministic: bool, tolerance: float
) -> None:
    before = tracking.text(project.tracking, copy, "config.yaml")
    told = before.replace("deterministic: true", f"deterministic: {str(deterministic).lower()}")
    tracking.put(project.tracking, copy, {"config.yaml": told})
    planned = repeat.plan(project.settings, copy)
    assert (planned.devices, planned.tolerance) == (("NVIDIA H200",), tolerance)
    assert any("deterministic was false" in warning for warning in planned.warnings) is not deterministic
    assert repeat.plan(project.settings, copy, 0.0).tolerance == 0


def test_what_depends_on_time_is_told(project: Project, copy: str) -> None:
    told = yaml.safe_load(tracking.text(project.tracking, copy, "config.yaml"))
    told["tuning"]["workers"] = 3
    tracking.put(project.tracking, copy, {"config.yaml": yaml.safe_dump(told)})
    (model,) = tracking.children(project.tracking, copy)
    client = MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)
    client.log_param(model.run_id, "over_budget", "2")
    client.log_metric(model.run_id, "search_work", 1.0)
    warnings = repeat.plan(project.settings, copy).warnings
    assert any(warning.startswith("3 workers searched at once") for warning in warnings)
    assert any(warning.startswith("gru: fits went over their time budget") for warning in warnings)
    assert any("hash is another one" in warning for warning in warnings)


def test_a_run_as_of_a_past_day_is_made_again_as_of_that_day(project: Project, copy: str) -> None:
    tracking.tag(project.tracking, copy, {"daycast.as_of": "2019-11-30"})
    assert repeat.plan(project.settings, copy).data.as_of == "2019-11-30"


def test_settings_apart_share_nothing_but_the_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAYCAST_STORE_URL", "DAYCAST_STUDIES_URL", "MLFLOW_TRACKING_URI", "DAYCAST_CACHE_URL"):
        monkeypatch.setenv(name, "postgresql://team/everything")
    with repeat.apart(project.settings, "0" * 32) as fresh:
        inside = str(fresh.state)
        assert fresh.root == project.settings.root
        assert fresh.state.is_relative_to(project.settings.state / repeat.FOLDER)
        assert all(inside in url for url in (fresh.tracking_uri, fresh.studies_url, fresh.store_url))
        assert fresh.cache_url is None
    assert not fresh.state.exists()
    with repeat.apart(project.settings, "0" * 32, keep=True) as fresh:
        pass
    assert fresh.state.is_dir()
    fresh.state.rmdir()


@pytest.mark.parametrize("run_id", ["0" * 32, "foo", "a/b"])
def test_a_run_that_is_nowhere_is_a_mistake_of_who_named_it(project: Project, run_id: str) -> None:
    with pytest.raises(ConfigError, match=run_id):
        repeat.plan(project.settings, run_id)


def test_a_server_that_does_not_answer_is_not_a_wrong_id(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = dataclasses.replace(project.settings, tracking_uri="http://127.0.0.1:1")
    with pytest.raises(ToolError, match="server or database there is up"):
        repeat.plan(nobody, "0" * 32)
