"""A forecast whatever happens: each rank of the chain in turn, marked in every row, told to people, with the reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flows.forecasting import forecasting
from flows.running import start
from mlflow import MlflowClient
from prefect.client.schemas.objects import State
from tests.flows.test_forecasting import NAME, rows, stored
from tests.flows.test_monitoring import told
from tests.project import Project, lay_out
from tests.steps.test_replay import version

from daycast.adapters import registry
from daycast.adapters import store as stores
from daycast.config import Dataset, dataset_only
from daycast.errors import ConfigError, PromotionError
from daycast.settings import Settings
from daycast.steps import chain, rollback, shelf
from daycast.steps.champion import MOVED, Why, move, moves
from daycast.steps.data import frame
from daycast.steps.forecast import forecast
from daycast.steps.ingest import ingest
from daycast.steps.outcomes import ForecastRef, Outcome
from daycast.steps.register import DATA_UNTIL
from flows import anyway

__all__ = ["told"]
pytestmark = pytest.mark.xdist_group("flows")

Trained = tuple[Project, Outcome]


def by_model(project: Project) -> dict[str, str]:
    """Model -> number of its newest version."""
    return {v.tags["daycast.model"]: v.number for v in registry.versions(project.settings.tracking_uri, NAME)[::-1]}


@pytest.fixture
def champions(project: Project, trained: Trained, network: str) -> Iterator[list[str]]:
    """Two champions, one after the other: the first run's winner, and now a network; then as it was."""
    assert trained[1].champion is not None
    first, uri = trained[1].champion.version, project.settings.tracking_uri
    before = registry.required(uri, NAME, "champion").number
    store = project.settings.store_url.removeprefix("sqlite:///")
    shutil.copy(store, f"{store}.kept")
    with stores.opened(project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(stores.tables.promotions.delete())  # former champions of other tests would stand in
    shutil.rmtree(shelf.shelf(project.settings, "tiny"), ignore_errors=True)
    registry.set_alias(uri, NAME, "champion", first)
    made_by = registry.find(uri, NAME, network).tags["daycast.run_id"]  # type: ignore[union-attr]
    move(project.settings, "tiny", network, Why("override", made_by, "for a test"), first)
    yield [network, first]
    registry.set_alias(uri, NAME, "champion", before)
    shutil.move(f"{store}.kept", store)
    shutil.rmtree(shelf.shelf(project.settings, "tiny"), ignore_errors=True)


@contextmanager
def broken(settings: Settings, *numbers: str, how: str = "config.json") -> Iterator[None]:
    """Inside the block, these versions' files are not what they were."""
    kept: list[tuple[Path, bytes]] = []
    for number in numbers:
        files = registry.load(settings.tracking_uri, NAME, number).folder
        (file,) = files.rglob(how)
        kept.append((file, file.read_bytes()))
    try:
        for file, _ in kept:
            file.write_text("{}")
        yield
    finally:
        for file, told in kept:
            file.write_bytes(told)


def of(project: Project, made: ForecastRef) -> pd.DataFrame:
    """The rows of a forecast in the store, steps of a week."""
    found = stored(project)
    own = found["model_version"] == made.served_by.version
    return found[own & (found["cutoff"] == made.cutoff) & (found["step"] <= 7)]


def test_the_champion_is_marked_in_every_row_and_nobody_is_told(
    project: Project, champions: list[str], told: list[dict[str, str]]
) -> None:
    made = project.forecast()
    assert (made.role, made.served_by.version, made.reasons) == ("champion", champions[0], ())
    assert set(rows(made)["role"]) == {"champion"}
    kept = of(project, made)
    assert len(kept) == 14
    assert set(kept["role"]) == {"champion"}
    assert kept["fallback_reason"].isna().all()
    assert told == []


@pytest.mark.parametrize("edited", ["by hand on Monday", '["a list"]', '{"number": %d}', '{"number": null}'])
def test_what_somebody_wrote_into_the_tag_of_a_move_stops_neither_the_forecast_nor_the_way_back(
    project: Project, champions: list[str], edited: str
) -> None:
    dataset, lines = project.config().dataset, len(moves(project.settings, "tiny"))
    told = edited % (lines + 1) if "%d" in edited else edited
    uri = project.settings.tracking_uri
    now = registry.required(uri, NAME, "champion")
    registry.tag(uri, NAME, champions[0], {MOVED: told})
    try:
        made = project.forecast()
        assert rollback.rollback(project.settings, dataset, None, "to see", dry_run=True) == (*champions,)
    finally:
        registry.tag(uri, NAME, champions[0], {MOVED: now.tags[MOVED]})
    assert (made.role, made.served_by.version, made.reasons) == ("champion", champions[0], ())
    assert len(moves(project.settings, "tiny")) == lines


def test_a_champion_that_does_not_load_is_followed_by_the_one_before(
    project: Project, champions: list[str], told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken(project.settings, champions[0]):
        made = project.forecast()
    assert (made.role, made.served_by.version) == ("previous_champion", champions[1])
    (reason,) = made.reasons
    assert reason.startswith(f"champion, version {champions[0]}: ModelError: ")
    assert set(rows(made)["role"]) == {"previous_champion"}
    (notice,) = told
    assert notice["title"].startswith("daycast: tiny is forecast by its previous champion")
    assert reason in notice["message"]
    assert "run: daycast history dataset=tiny" in notice["message"]
    assert "series: all 2 that are forecast" in notice["message"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    page = f"http://mlflow.example:5000/#/models/{NAME}"
    assert anyway.notice(made).link == f"{page}/versions/{champions[1]}"
    none = made.served_by.model_copy(update={"version": chain.NO_VERSION})
    assert anyway.notice(made.model_copy(update={"served_by": none})).link == page


@pytest.mark.usefixtures("champions")
def test_data_that_end_before_those_of_an_earlier_forecast_are_told(project: Project) -> None:
    assert project.forecast().cutoff.startswith("2019-12-31")
    told = frame(project.settings, project.data)
    half = told[told["ds"] <= "2019-07-31"]
    data = version(project, half.assign(y=half["y"].where(half["ds"] <= "2019-06-30")))
    made = forecast(project.settings, project.config().dataset, data)
    assert (made.role, made.cutoff[:10]) == ("champion", "2019-06-30")
    assert made.reasons[0].startswith("data: they end on 2019-06-30, and those of an earlier forecast on 2019-12-31")
    kept = stored(project)[lambda r: r["data_version"] == data.version]
    assert kept["fallback_reason"].str.contains("they end on 2019-06-30").all()
    assert len(kept) == made.new_rows > 0


@pytest.mark.usefixtures("champions")
def test_a_forecast_from_days_that_have_not_come_marks_no_later_one(project: Project) -> None:
    made = project.forecast()
    faulty = [pd.Timestamp(project.config().dataset.today()) + pd.Timedelta(days=n) for n in (1, 300)]
    with stores.opened(project.settings.store_url) as engine, engine.begin() as connection:
        kept = stores.tables.forecasts
        one = connection.execute(kept.select().where(kept.c.dataset == "tiny").limit(1)).mappings().one()
        rows = [{**one, "cutoff": day.to_pydatetime(), "run_id": "other"} for day in faulty]
        connection.execute(kept.insert(), [{n: v for n, v in row.items() if n != "id"} for row in rows])
    again = project.forecast()
    assert (again.role, again.cutoff, again.reasons) == ("champion", made.cutoff, ())


def test_one_broken_version_after_the_other_leads_to_the_best_baseline_and_then_to_no_version_at_all(
    project: Project, champions: list[str]
) -> None:
    naive = [v for v in registry.versions(project.settings.tracking_uri, NAME) if "daycast.baseline" in v.tags]
    baseline = max(naive, key=lambda v: (v.tags[DATA_UNTIL], int(v.number))).number
    with broken(project.settings, *champions):
        third = project.forecast()
    with broken(project.settings, *champions, *({baseline} - {*champions})):
        last = project.forecast()
    assert (third.role, third.served_by.version) == ("baseline", baseline)
    assert len(third.reasons) == 2
    assert (last.role, last.served_by.version, last.served_by.model) == ("seasonal_naive", "none", "seasonal_naive")
    assert [r.split(",")[0] for r in last.reasons] == ["champion", "previous champion", "baseline"]
    kept = of(project, last)
    assert set(kept["role"]) == {"seasonal_naive"}
    assert set(kept["fallback_reason"]) == {"\n".join(last.reasons)}
    assert set(kept["quantiles"].map(len)) == {0}
    frame = pd.read_parquet(project.settings.root / "data/prepared/tiny.parquet").set_index(["unique_id", "ds"])["y"]
    week_before = [frame[u, d - pd.Timedelta(days=7)] for u, d in zip(kept["unique_id"], kept["ds"], strict=True)]
    np.testing.assert_array_equal(kept["y_hat"], week_before)
    again = project.forecast  # the chain is no memory: mended, the champion is back
    assert again().role == "champion"


def test_without_champion_the_one_before_serves_and_without_any_version_the_season(
    project: Project, champions: list[str], tmp_path: Path
) -> None:
    uri = project.settings.tracking_uri
    registry.unset_alias(uri, NAME, "champion")
    try:
        made = project.forecast()
    finally:
        registry.set_alias(uri, NAME, "champion", champions[0])
    assert (made.role, made.served_by.version) == ("previous_champion", champions[0])
    assert made.reasons == ("champion: there is none",)
    fresh = replace(
        project.settings, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", store_url=f"sqlite:///{tmp_path}/store.db"
    )
    none = forecast(fresh, dataset_only(fresh.root, "tiny"), project.data)
    assert (none.role, none.reasons, none.n_rows) == ("seasonal_naive", ("champion: there is none",), 14)


def test_while_mlflow_is_down_the_champion_forecasts_from_the_copy_kept_here_or_the_season_does(
    project: Project, champions: list[str], tmp_path: Path
) -> None:
    dataset = dataset_only(project.settings.root, "tiny")
    (tmp_path / "no database").mkdir()
    down = replace(project.settings, tracking_uri=f"sqlite:///{tmp_path}/no database")
    without = forecast(down, dataset, project.data)
    assert (without.role, len(without.reasons)) == ("seasonal_naive", 2)
    assert "registry: ToolError" in without.reasons[0]
    usual = forecast(project.settings, dataset, project.data)
    assert usual.role == "champion"
    made = forecast(down, dataset, project.data)
    assert (made.role, made.served_by) == ("champion", usual.served_by)
    assert "registry: ToolError" in made.reasons[0]
    assert made.new_rows == 0  # the same forecast
    pd.testing.assert_frame_equal(rows(made), rows(usual))
    place = shelf.shelf(project.settings, "tiny")
    assert [f.name.partition("-")[0] for f in place.iterdir()] == [champions[0]]
    (file,) = place.rglob("weights.safetensors")
    weights = file.read_bytes()
    file.unlink()
    assert forecast(down, dataset, project.data).role == "seasonal_naive"
    file.write_bytes(weights)
    move(project.settings, "tiny", champions[1], Why("rollback", "run", "for a test"), champions[0])
    back = forecast(down, dataset, project.data)
    assert back.role == "seasonal_naive"
    assert "rolled back" in back.reasons[1]


def test_a_champion_whose_files_are_gone_forecasts_from_the_copy_kept_here(
    project: Project, champions: list[str]
) -> None:
    assert project.forecast().role == "champion"
    folder = registry.load(project.settings.tracking_uri, NAME, champions[0]).folder
    folder.rename(folder.with_name("away"))
    try:
        made = project.forecast()
        shutil.rmtree(shelf.shelf(project.settings, "tiny"))
        without = project.forecast()
    finally:
        folder.with_name("away").rename(folder)
    assert (made.role, made.served_by.version) == ("champion", champions[0])
    assert "the copy of its files that is kept here serves" in made.reasons[0]
    assert without.role == "previous_champion"
    assert without.reasons[0] == made.reasons[0].partition("; the copy")[0]  # what is wrong with its files
    assert "none is kept" in without.reasons[1]


def test_the_copy_of_another_registrys_version_with_the_champions_number_does_not_serve(
    project: Project, champions: list[str]
) -> None:
    assert project.forecast().role == "champion"
    now = registry.required(project.settings.tracking_uri, NAME, "champion")
    assert shelf.kept(project.settings, "tiny", now).version.number == champions[0]
    assert shelf.kept(project.settings, "tiny", None).version.number == champions[0]
    with pytest.raises(PromotionError, match="none is kept"):
        shelf.kept(project.settings, "tiny", replace(now, run_id="of another registry"))


def test_a_version_whose_configuration_nobody_knows_any_more_forecasts_as_champion(
    project: Project, champions: list[str]
) -> None:
    uri, tag = project.settings.tracking_uri, "daycast.config_hash"
    before = registry.required(uri, NAME, "champion")
    MlflowClient(uri, uri).delete_model_version_tag(NAME, champions[0], tag)
    try:
        made = project.forecast()
        now = registry.required(uri, NAME, "champion")
        assert shelf.failing(project.settings, project.config().dataset, now, project.data) is None
    finally:
        registry.tag(uri, NAME, champions[0], {tag: before.tags[tag]})
    assert (made.role, made.served_by.version, made.reasons) == ("champion", champions[0], ())


def rejected(project: Project, folder: Path) -> None:
    raw = pd.read_csv(project.settings.root / "data/raw/tiny/received.csv")
    raw.assign(bus=-1).to_csv(folder / "bad.csv", index=False)
    ingest(project.settings, "tiny", from_file=folder / "bad.csv")


def unreachable(project: Project, folder: Path) -> None:
    file = project.settings.root / "conf/dataset/tiny.yaml"
    text = file.read_text()
    start, end = text.index("source:"), text.index("read:")
    file.write_text(f"{text[:start]}source:\n  kind: file\n  path: {folder}/none.csv\n{text[end:]}")


def stale(project: Project, _folder: Path) -> None:
    file = project.settings.root / "conf/dataset/tiny.yaml"
    file.write_text(file.read_text().replace("max_age_days: null", "max_age_days: 30"))


@pytest.mark.usefixtures("champions")
@pytest.mark.parametrize("hinder", [rejected, unreachable, stale], ids=lambda f: f.__name__)
def test_without_new_data_the_last_good_ones_serve(
    project: Project, hinder: object, tmp_path: Path, told: list[dict[str, str]]
) -> None:
    file = project.settings.root / "conf/dataset/tiny.yaml"
    before, text = project.data, file.read_text()
    hinder(project, tmp_path)  # type: ignore[operator]
    try:
        made = start(forecasting, dataset="tiny", fetch=hinder is unreachable)
    finally:
        file.write_text(text)
    usual = project.forecast()
    assert project.data.version == before.version
    assert made.role == "champion"
    (reason,) = made.reasons
    kind = {"rejected": "ContractError", "unreachable": "SourceError", "stale": "ContractError"}
    assert reason.startswith(f"data: {kind[hinder.__name__]}: ")  # type: ignore[attr-defined]
    assert "the prepared calendar ends too early" in reason  # the sample's days are long gone
    assert made.n_rows == 14
    pd.testing.assert_frame_equal(rows(made), rows(usual))
    assert usual.reasons == ()
    (notice,) = told
    assert reason in notice["message"]
    assert "run: daycast ingest dataset=tiny" in notice["message"]


@pytest.mark.usefixtures("champions")
def test_from_late_data_the_coming_days_are_forecast_all_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = project.forecast()
    cutoff = pd.Timestamp(usual.cutoff)
    dataset = dataset_only(project.settings.root, "tiny")
    today = cutoff + pd.Timedelta(days=4)  # so three days have ended of which nothing came
    monkeypatch.setattr(Dataset, "today", lambda _self, _now=None: today.date())
    made = forecast(project.settings, dataset, project.data, late="the source is down")
    assert made.reasons == ("data: the source is down",)
    told = rows(made)
    assert (made.horizon, told["ds"].max()) == (10, today + pd.Timedelta(days=6))
    assert told.groupby("unique_id").size().tolist() == [10, 10]
    far = cutoff + pd.Timedelta(days=58)  # of the 60 days of the calendar four are left
    monkeypatch.setattr(Dataset, "today", lambda _self, _now=None: far.date())
    assert forecast(project.settings, dataset, project.data, late="it is down").horizon == 60


@pytest.mark.usefixtures("champions")
def test_a_mistake_stays_a_mistake(project: Project) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        start(forecasting, dataset="nothing")
    registry.unset_alias(project.settings.tracking_uri, NAME, "champion")
    with pytest.raises(PromotionError, match="a champion of daycast-tiny"):
        project.forecast(as_of=date(2019, 10, 15))  # of the past nobody else stands in for it


def test_the_version_that_is_asked_for_forecasts_or_none(project: Project, champions: list[str]) -> None:
    dataset = dataset_only(project.settings.root, "tiny")
    with broken(project.settings, champions[0]), pytest.raises(Exception, match="a model"):
        forecast(project.settings, dataset, project.data, version=champions[0])
    made = forecast(project.settings, dataset, project.data, version=champions[1])
    assert (made.role, made.served_by.version) == ("champion", champions[1])


def test_the_command_line_says_who_served_and_fails_only_if_asked_to(project: Project, champions: list[str]) -> None:
    def daycast(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DAYCAST_STORE_URL": project.settings.store_url}
        command = [sys.executable, "-m", "daycast", "forecast", "--quiet", *words]
        return subprocess.run(command, cwd=project.settings.root, env=env, capture_output=True, text=True, check=False)

    with broken(project.settings, champions[0]):
        done, strict = daycast("--json"), daycast("--strict")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["role"], found["served_by"]["version"]) == ("previous_champion", champions[1])
    assert found["reasons"]
    assert found["forecast"][0]["role"] == "previous_champion"
    assert strict.returncode == 9, strict.stderr
    assert "NOT THE USUAL FORECAST: previous champion" in strict.stdout
    assert "ModelError" in strict.stdout


def test_a_flow_that_had_to_fall_back_is_completed(project: Project, champions: list[str]) -> None:
    with broken(project.settings, champions[0]):
        state = forecasting(dataset="tiny", fetch=False, return_state=True)
    assert isinstance(state, State)
    assert state.is_completed()


def test_where_nothing_was_ever_trained_the_season_forecasts(tmp_path: Path) -> None:
    fresh = lay_out(tmp_path / "fresh")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_"))}
    command = [sys.executable, "-m", "daycast", "forecast", "--json", "--quiet"]
    done = subprocess.run(command, cwd=fresh.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["role"], found["reasons"], found["n_rows"]) == ("seasonal_naive", ["champion: there is none"], 14)
