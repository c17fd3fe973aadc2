"""Lineage on a project that was trained for real: from rows, versions and runs down to bytes, and where links break."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.project import Project

from daycast.adapters import registry, store, tracking
from daycast.config import config_hash
from daycast.core.chain import Link
from daycast.errors import ConfigError, DataError, PromotionError
from daycast.settings import Settings
from daycast.steps import origins
from daycast.steps.lineage import Asked, lineage
from daycast.steps.outcomes import Outcome

pytestmark = pytest.mark.xdist_group("flows")
FILES = ["data/raw/tiny/received.csv", "data/validated/tiny.json", "data/prepared/tiny.parquet"]


def chain(project: Project, what: str, settings: Settings | None = None, cutoff: date | None = None) -> Link:
    return lineage(settings or project.settings, Asked("tiny", what, cutoff))


def of_kind(link: Link, kind: str) -> list[Link]:
    """All links of that kind from here down, each once."""
    found = [link] if link.kind == kind else []
    return found + [one for below in link.links for one in of_kind(below, kind)]


def client(project: Project) -> MlflowClient:
    return MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)


def rows(project: Project) -> pd.DataFrame:
    with store.opened(project.settings.store_url) as engine:
        return store.read_forecasts(engine, "tiny")


def of_run(project: Project, run: str) -> Any:
    """A row that the run's champion made; other tests may have made others since."""
    every = rows(project)
    return every[every["run_id"] == run].iloc[-1]


@contextmanager
def without(*files: Path) -> Iterator[None]:
    """Inside the block these files or folders are elsewhere."""
    away = [file.with_name(f"{file.name}.away") for file in files]
    for file, to in zip(files, away, strict=True):
        shutil.move(file, to)
    try:
        yield
    finally:
        for file, to in zip(files, away, strict=True):
            if file.is_dir():
                shutil.rmtree(file)
            shutil.move(to, file)


def copies(project: Project, md5: str) -> list[Path]:
    """The content in DVC's cache and in its remote."""
    root = project.settings.root
    found = [place / md5[:2] / md5[2:] for place in root.parent.rglob("files/md5") if place.is_dir()]
    return [file for file in found if file.exists()]


@pytest.fixture
def run(trained: tuple[Project, Outcome], project: Project) -> str:  # noqa: ARG001 - in its environment
    return trained[1].run.run_id


def test_a_forecast_leads_to_version_run_configuration_code_and_every_file_of_the_data(
    project: Project, run: str
) -> None:
    row = of_run(project, run)
    found = chain(project, f"forecast/{row['id']}")
    assert (found.facts["id"], found.facts["y_hat"]) == (row["id"], row["y_hat"])
    assert list(found.broken()) == []
    (version,) = of_kind(found, "version")
    assert (version.facts["version"], version.facts["model"]) == (row["model_version"], row["model"])
    by_model = {child.name: child.run_id for child in tracking.children(project.tracking, run)}
    runs = [link.facts["run_id"] for link in of_kind(version, "run")]
    assert runs == [by_model[row["model"]], row["run_id"]] == [version.facts["model_run"], run]
    (configured,) = of_kind(found, "configuration")
    assert configured.facts["hash"] == row["config_hash"] == config_hash(project.config())
    assert configured.facts["resolved"] == project.config().model_dump(mode="json")
    assert {link.facts["commit"] for link in of_kind(found, "code")} == {row["git_commit"]}
    assert all(link.facts["known_here"] for link in of_kind(found, "code"))
    for data in of_kind(found, "data"):  # trained on, and forecast from
        assert data.facts["version"] == row["data_version"]
        assert [file.name for file in data.links] == FILES
        assert {file.facts["where"] for file in data.links} == {origins.PLACES["here"]}
        assert data.links[-1].facts["md5"] == row["data_version"]


def test_all_ways_to_name_a_thing_lead_to_it(trained: tuple[Project, Outcome], project: Project, run: str) -> None:
    outcome = trained[1]
    assert outcome.champion is not None
    number, name = outcome.champion.version, outcome.champion.name
    champion = registry.by_alias(project.settings.tracking_uri, name, "champion")
    assert champion is not None
    by_number = chain(project, number)
    for what in (f"{name}/{number}", f"models:/{name}/{number}"):
        assert chain(project, what) == by_number
    for what in ("@champion", f"{name}@champion", f"models:/{name}@champion"):
        assert chain(project, what).facts["version"] == champion.number
    assert chain(project, run).facts["run_id"] == run
    first = rows(project)["id"].iloc[0]
    assert chain(project, f"forecast/{first}").facts["id"] == first
    assert chain(project, "forecast").kind == "forecast"


def test_the_run_of_a_model_or_a_trial_leads_to_the_run_that_it_is_part_of(project: Project, run: str) -> None:
    model = next(m for m in tracking.children(project.tracking, run) if m.name == "gru")
    found = chain(project, model.run_id)
    assert [link.facts["run_id"] for link in of_kind(found, "run")] == [model.run_id, run]
    trial = tracking.children(project.tracking, model.run_id, "trial")[0]
    assert [link.facts["run_id"] for link in of_kind(chain(project, trial.run_id), "run")] == [trial.run_id, run]


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        ("nonsense", ConfigError, "SERIES@TIME"),
        ("99", PromotionError, "versions 1, 2"),
        ("daycast-other/1", PromotionError, "no model daycast-other"),
        ("@nobody", PromotionError, r"with the alias `nobody`\n.*versions 1, 2, .*@champion"),
        ("rail@nobody", PromotionError, r"no model rail, and `nobody` is no time(.|\n)*rail@2021-12-05"),
        ("0" * 32, ConfigError, "which no run has"),
        ("forecast/987654", DataError, "none"),
        (f"forecast/{10**23}", DataError, "none"),
        (f"forecast/{'9' * 5000}", DataError, "none"),
        ("o'brien@champion", ConfigError, "o'brien@champion"),
        ("o'brien/7", ConfigError, "o'brien/7"),
        ("rail@1999-01-01", DataError, "none"),
        ("tram@2020-01-01", DataError, "none"),
        ("rail@2020-13-01", ConfigError, "2020-13-01"),
    ],
)
def test_what_is_not_there_is_told(project: Project, what: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        chain(project, what)


def test_of_several_forecasts_of_a_value_the_cutoff_picks_one(project: Project, run: str) -> None:  # noqa: ARG001
    made = project.forecast(as_of=date(2019, 12, 29), horizon=7)
    assert made.cutoff.startswith("2019-12-29")
    latest = chain(project, "rail@2020-01-02")
    every = rows(project)
    same = every[(every["unique_id"] == "rail") & (every["ds"] == "2020-01-02")].sort_values(
        ["cutoff", "made_at", "id"]
    )
    assert latest.facts["id"] == same["id"].iloc[-1]
    assert latest.facts["cutoff"] == "2019-12-31T00:00:00"
    assert latest.facts["others"].startswith(f"{len(same) - 1} more")
    assert len(same) > 1
    earlier = chain(project, "rail@2020-01-02", cutoff=date(2019, 12, 29))
    assert earlier.facts["cutoff"] == "2019-12-29T00:00:00"
    with pytest.raises(DataError, match="after 2019-12-25"):
        chain(project, "rail@2020-01-02", cutoff=date(2019, 12, 25))


@pytest.mark.parametrize("what", ["forecast", "forecast/1", "@champion", "1", "daycast-tiny/1", "0" * 32])
def test_a_cutoff_of_what_has_none_to_pick_is_refused(project: Project, what: str) -> None:
    with pytest.raises(ConfigError, match="--cutoff with SERIES@TIME"):
        chain(project, what, cutoff=date(2019, 12, 29))


def files(project: Project, version: registry.Version) -> Path:
    """The folder of a version."""
    uri = client(project).get_model_version_download_uri(version.name, version.number)
    return Path(unquote(uri.removeprefix("file://")))


@pytest.mark.parametrize("gone", ["", "MLmodel", "artifacts/serving.json", "artifacts/model", "served_model.py"])
def test_a_version_whose_files_are_gone_is_the_missing_link(project: Project, run: str, gone: str) -> None:  # noqa: ARG001
    version = registry.required(project.settings.tracking_uri, "daycast-tiny", "champion")
    with without(files(project, version) / gone):
        found = chain(project, "@champion")
    (broken,) = found.broken()
    assert (broken.kind, broken.name) == ("version", found.name)
    assert str(broken.missing).endswith(f"no {gone or 'MLmodel'}")
    assert list(chain(project, "@champion").broken()) == []


def test_a_file_of_a_version_that_was_cut_off_is_told(project: Project, run: str) -> None:  # noqa: ARG001
    version = registry.required(project.settings.tracking_uri, "daycast-tiny", "champion")
    code = files(project, version) / "served_model.py"
    before = code.read_bytes()
    code.write_bytes(b"")
    try:
        (broken,) = chain(project, "@champion").broken()
    finally:
        code.write_bytes(before)
    assert "bytes, of" in str(broken.missing)


def test_a_run_that_was_deleted_is_the_missing_link_and_the_rest_is_still_told(project: Project, run: str) -> None:
    there = client(project)
    there.delete_run(run)
    try:
        found = chain(project, f"forecast/{of_run(project, run)['id']}")
    finally:
        there.restore_run(run)
    broken = list(found.broken())
    assert [link.kind for link in broken] == ["run"]
    assert f"mlflow runs restore --run-id {run}" in str(broken[0].missing)
    assert of_kind(found, "configuration")[0].facts["resolved"]


def test_a_models_run_that_was_deleted_is_the_missing_link_of_its_version_and_the_rest_is_still_told(
    project: Project,
    run: str,  # noqa: ARG001
) -> None:
    there, version = client(project), registry.required(project.settings.tracking_uri, "daycast-tiny", "champion")
    there.delete_run(version.run_id)
    try:
        found, alone = chain(project, version.number), chain(project, version.run_id)
    finally:
        there.restore_run(version.run_id)
    for broken in (list(found.broken()), list(alone.broken())):
        assert [(link.kind, link.facts["run_id"]) for link in broken] == [("run", version.run_id)]
        assert f"mlflow runs restore --run-id {version.run_id}" in str(broken[0].missing)
    assert of_kind(found, "run")[-1].facts["run_id"] == version.tags["daycast.run_id"]
    assert of_kind(found, "configuration")[0].facts["resolved"]
    assert list(chain(project, version.number).broken()) == []


def test_a_registry_that_is_another_one_breaks_the_chain_at_version_and_run(
    project: Project, run: str, tmp_path: Path
) -> None:
    other = dataclasses.replace(project.settings, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    found = chain(project, f"forecast/{of_run(project, run)['id']}", other)
    assert [link.kind for link in found.broken()] == ["version", "run", "configuration"]
    assert of_kind(found, "run")[0].facts == {"run_id": run}
    (used, trained_on) = of_kind(found, "data")[::-1]
    for data in (used, trained_on):  # the store keeps what brings the data back
        assert [file.name for file in data.links] == FILES


def test_data_that_only_the_remote_has_are_retrievable_and_data_that_nobody_has_are_missing(
    project: Project, run: str
) -> None:
    cache, *others = sorted(copies(project, project.data.version), key=lambda file: ".dvcstore" in str(file))
    assert others
    with without(cache):
        found = chain(project, run)
        assert list(found.broken()) == []
        assert of_kind(found, "file")[-1].facts["where"] == origins.PLACES["remote"]
        with without(*others):
            found = chain(project, run)
    (broken,) = found.broken()
    assert (broken.kind, broken.name) == ("file", FILES[-1])


def test_a_configuration_that_was_changed_is_told(project: Project, run: str) -> None:
    before = tracking.text(project.tracking, run, "config.yaml")
    tracking.put(project.tracking, run, {"config.yaml": before.replace("seed: 7", "seed: 8")})
    try:
        (broken,) = chain(project, run).broken()
    finally:
        tracking.put(project.tracking, run, {"config.yaml": before})
    assert broken.kind == "configuration"
    assert "was changed" in str(broken.missing)


def test_a_commit_that_this_clone_has_not_is_told(project: Project, run: str) -> None:
    there, before = client(project), tracking.find(project.tracking, run).tags["daycast.git_commit"]
    for commit, missing in (("f" * 40, ["code"]), (f"{before}-dirty", [])):
        there.set_tag(run, "daycast.git_commit", commit)
        try:
            found = chain(project, run)
        finally:
            there.set_tag(run, "daycast.git_commit", before)
        assert [link.kind for link in found.broken()] == missing
        assert of_kind(found, "code")[0].facts["dirty"] == commit.endswith("-dirty")


def test_a_forecast_of_data_that_no_run_was_of_still_leads_to_the_raw_files(project: Project, run: str) -> None:  # noqa: ARG001
    told = origins.data(project.settings, "tiny", project.data.version, None, "forecast from")
    assert json.loads(json.dumps(told.facts["pointers"])) == project.data.pointers
    with store.opened(project.settings.store_url) as engine:
        assert store.kept_data(engine, "tiny", project.data.version) == project.data.pointers
    unknown = origins.data(project.settings, "tiny", "0" * 32, None, "forecast from")
    assert [link.kind for link in unknown.broken()] == ["data", "file"]
