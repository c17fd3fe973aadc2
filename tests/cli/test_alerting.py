"""`daycast alerts` as a user runs it, on a tiny project with prepared data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.project import environment, lay_out
from typer.testing import CliRunner, Result

from daycast.adapters import tracking
from daycast.cli import application
from daycast.config import compose
from daycast.errors import ConfigError, DataError, HistoryError
from daycast.settings import QUIET, Settings
from daycast.steps import alerts, prepare, validate
from daycast.steps.data import in_force
from daycast.steps.ingest import ingest
from daycast.steps.record import tracker

pytestmark = pytest.mark.xdist_group("alerts")

SMALL = [
    *("alert.low.drop=0.1", "alert.seeds=1", "alert.network.hidden=6", "alert.network.lookback=14"),
    *("alert.network.profile.year=84", "alert.logistic.profile.year=84", "alert.network.profile.growth=[7]"),
]
COLUMNS = ["unique_id", "ds", "step", "probability", "alert", "below"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A project in which nothing has been run."""
    settings = lay_out(tmp_path_factory.mktemp("a project") / "with alerts")
    with environment(settings), pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield settings


@pytest.fixture(scope="module")
def prepared(bare: Settings) -> Settings:
    """The same with prepared data."""
    with pytest.raises(DataError, match="ingest"):
        alerts.alerts(bare, compose(bare.root, SMALL, fitting=False))
    ingest(bare, "tiny", fetch=True)
    validate.validate(bare, "tiny")
    prepare.prepare(bare, "tiny")
    return bare


def daycast(*words: str) -> Result:
    return CliRunner().invoke(application(), ["alerts", "--quiet", *SMALL, *words], catch_exceptions=False)


@pytest.fixture(scope="module")
def document(prepared: Settings) -> dict[str, object]:  # noqa: ARG001 - must be there first
    done = daycast("--json")
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_machines_get_scores_and_the_coming_days(document: dict[str, object]) -> None:
    scores, coming = (pd.DataFrame(document[name]) for name in ("scores", "coming"))
    series = ["all", *sorted(set(coming["unique_id"]))]
    assert sorted(map(tuple, scores[["unique_id", "model"]].to_numpy())) == [
        (s, m) for s in series for m in ("base_rate", "logistic", "network")
    ]
    assert scores.groupby("unique_id")["n"].nunique().eq(1).all()  # every model at identical days
    assert (scores.loc[scores["model"] == "base_rate", "skill"] == 0).all()
    assert list(coming.columns) == COLUMNS
    first = pd.Timestamp(str(document["cutoff"])) + pd.Timedelta(days=1)
    assert pd.to_datetime(coming["ds"]).min() == first
    assert coming.groupby("unique_id")["step"].apply(list).tolist() == [list(range(1, 8))] * 2
    assert coming["probability"].between(0, 1).all()
    assert (coming["below"] > 0).all()


@pytest.mark.usefixtures("document")
def test_people_get_tables_and_the_second_time_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts.models, "build", None)  # whoever fits again fails
    done = daycast("alert.threshold=0")
    assert done.exit_code == 0, done.output
    assert "days that lack 10%" in done.output
    assert "by logistic; an alert from 0% on" in done.output
    assert done.output.count("LOW") == 14
    none = daycast("alert.threshold=1", "--only-alerts")
    assert "an alert from 100% on: none" in none.output


def test_the_run_in_mlflow_leads_back_to_data_and_configuration(
    document: dict[str, object], prepared: Settings
) -> None:
    run = tracking.find(tracker(prepared), str(document["run_id"]))
    assert run.status == "FINISHED"
    assert run.tags["daycast.data_version"] == in_force(prepared, "tiny").version
    assert run.tags["daycast.run_id"] == run.run_id
    assert {"daycast.config_hash", "daycast.git_commit"} <= set(run.tags)
    assert {f"{m}.all.{s}" for m in ("logistic", "network") for s in ("brier", "skill")} <= set(run.metrics)
    assert "network.all.brier" not in run.params
    assert "drop: 0.1" in tracking.text(tracker(prepared), run.run_id, "config.yaml")
    assert "unique_id" in tracking.text(tracker(prepared), run.run_id, "coming.csv")


@pytest.mark.usefixtures("document")
def test_it_is_no_run_that_forecasts_or_leaderboards_are_looked_up_in(prepared: Settings) -> None:
    assert tracking.latest(tracker(prepared), "tiny", {"daycast.compared": "1"}) is None
    assert tracking.latest(tracker(prepared), "tiny", {"daycast.alert": "default"}) is not None


@pytest.mark.usefixtures("document")
def test_pictures_are_in_the_run(prepared: Settings) -> None:
    found = {file.name for file in Path(prepared.state / "mlartifacts").rglob("plots/*.png")}
    assert found == {"reliability.png", "precision_recall.png", "training_curves.png"}


def test_only_the_backtests_series_are_told(document: dict[str, object]) -> None:
    name = pd.DataFrame(document["coming"])["unique_id"].iloc[0]
    told = json.loads(daycast("--json", f"backtest.series=[{name}]").stdout)
    assert {line["unique_id"] for line in [*told["scores"], *told["coming"]]} == {name}


@pytest.mark.usefixtures("prepared")
def test_without_a_low_day_there_is_nothing_to_learn() -> None:
    with pytest.raises(HistoryError, match=r"99%") as error:
        daycast("alert.low.drop=0.99")
    assert "none in" in error.value.found
    assert "alert.low.drop" in error.value.fix


@pytest.mark.usefixtures("prepared")
def test_a_section_that_does_not_suit_the_dataset_is_told_before_work_starts() -> None:
    with pytest.raises(ConfigError) as error:
        daycast("alert.low.by=[weather]", "trainer.validation_steps=7")
    assert "alert.low.by: `weather`" in error.value.found
    assert "trainer.validation_steps" in error.value.found


@pytest.mark.usefixtures("prepared")
def test_an_unknown_model_or_threshold_is_refused() -> None:
    for override in ("alert.model=forest", "alert.threshold=2"):
        with pytest.raises(ConfigError, match=override.split("=")[0]):
            daycast(override)
