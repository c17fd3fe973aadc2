"""How the forecasts in the store turned out, by the flow that runs every day."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from flows.monitoring import monitoring, tell_people
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from sqlalchemy import select
from tests.project import Project

from daycast.adapters import registry, store, tracking
from daycast.adapters.store import tables
from daycast.core.lineage import Lineage
from daycast.errors import ConfigError, DataError, ToolError
from daycast.steps import episodes
from daycast.steps.alarms import alarms
from daycast.steps.data import frame
from daycast.steps.outcomes import AlarmRef, MonitoredRef
from daycast.steps.register import DATA_UNTIL
from flows import again, running

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.usefixtures("project")]

CUTOFFS = pd.date_range("2019-06-01", periods=9)
UNTIL = date(2019, 6, 20)


def monitored(as_of: date | None = UNTIL) -> MonitoredRef:
    return running.start(monitoring, dataset="tiny", as_of=as_of, fetch=False)


@pytest.fixture
def forecasts(project: Project, request: pytest.FixtureRequest) -> Iterator[pd.DataFrame]:
    """Forecasts of ten days from nine days of June, each off by a share of what came; gone afterwards."""
    known = frame(project.settings, project.data).dropna(subset="y").set_index(["unique_id", "ds"])["y"]
    off = getattr(request, "param", 0.01)
    rows = [
        (name, cutoff, ds := cutoff + pd.Timedelta(days=step), step, known[name, ds] * (1 + off))
        for cutoff in CUTOFFS
        for name in ("bus", "rail")
        for step in range(1, 11)
    ]
    made = pd.DataFrame(rows, columns=["unique_id", "cutoff", "ds", "step", "y_hat"])
    lineage = Lineage(project.data.version, "commit", "config", "monitored")
    with store.opened(project.settings.store_url) as engine:
        store.write_forecasts(engine, "tiny", made, ("mine", "99"), lineage)
    yield made
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        own = select(tables.forecasts.c.id).where(tables.forecasts.c.run_id == "monitored")
        connection.execute(tables.errors.delete().where(tables.errors.c.forecast_id.in_(own)))
        for table in (tables.forecasts, tables.ledger):
            connection.execute(table.delete().where(table.c.run_id == "monitored"))
        connection.execute(tables.alarm_episodes.delete())


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Inside the block, the store has no forecasts but those of ``forecasts``."""
    with store.opened(project.settings.store_url) as engine:
        with engine.begin() as connection:
            for table in (tables.forecasts, tables.ledger):
                connection.execute(table.update().where(table.c.run_id != "monitored").values(dataset="aside"))
        yield
        with engine.begin() as connection:
            for table in (tables.forecasts, tables.ledger):
                connection.execute(table.update().where(table.c.dataset == "aside").values(dataset="tiny"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What a webhook on this machine is sent."""
    found: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", f"json://127.0.0.1:{server.server_port}/hook")
    yield found
    server.shutdown()
    server.server_close()


def test_good_forecasts_raise_no_alarm_and_their_errors_are_told(
    forecasts: pd.DataFrame, told: list[dict[str, str]]
) -> None:
    found = monitored()
    windows = pd.read_csv(found.windows, parse_dates=["cutoff"])
    own = windows[windows["cutoff"].isin(CUTOFFS)]
    assert own["n"].sum() == len(forecasts)
    missed = (forecasts["y_hat"] - forecasts["y_hat"] / 1.01).groupby(forecasts["cutoff"]).mean()
    assert own["mae"].to_numpy() == pytest.approx(missed.to_numpy())
    assert found.skill is not None
    assert found.skill > 0
    assert not found.alarm
    assert told == []
    assert found.plot is not None
    assert Path(found.plot).stat().st_size > 5000


@pytest.mark.usefixtures("forecasts")
def test_only_days_that_had_come_by_the_day_are_judged() -> None:
    early = monitored(date(2019, 6, 5))
    windows = pd.read_csv(early.windows, parse_dates=["cutoff"])
    own = windows[windows["cutoff"].isin(CUTOFFS)]
    assert own["cutoff"].tolist() == CUTOFFS[:4].tolist()  # from the fifth day on nothing has come
    assert own["n"].tolist() == [8, 6, 4, 2]  # of two series


def test_a_forecast_by_a_version_that_had_seen_its_days_is_not_judged(project: Project) -> None:
    made = project.forecast(as_of=date(2019, 3, 3), horizon=7)
    champion = registry.required(project.settings.tracking_uri, "daycast-tiny", "champion")
    assert made.served_by.version == champion.number
    assert champion.tags[DATA_UNTIL] > "2019-03-10"
    windows = pd.read_csv(monitored(None).windows, parse_dates=["cutoff"])
    assert pd.Timestamp(made.cutoff) not in set(windows["cutoff"])


@pytest.mark.parametrize("forecasts", [0.9], indirect=True)
def test_an_alarm_as_of_a_past_day_is_shown_and_told_to_nobody(
    forecasts: pd.DataFrame, told: list[dict[str, str]]
) -> None:
    assert np.isfinite(forecasts["y_hat"]).all()
    assert monitored().alarm
    assert told == []


@pytest.mark.parametrize("forecasts", [0.9], indirect=True)
def test_people_are_told_once_of_forecasts_that_have_gone_wrong_and_once_that_it_is_over(
    forecasts: pd.DataFrame,
    told: list[dict[str, str]],
    project: Project,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert np.isfinite(forecasts["y_hat"]).all()
    events: list[str] = []
    monkeypatch.setattr("flows.monitoring.emit_event", lambda name, **_: events.append(name))
    with alone(project):
        found = monitored(None)
        again = monitored(None)
    assert found.alarm
    assert again.alarm
    assert found.skill is not None
    assert found.skill < 0
    assert [notice["title"] for notice in told] == ["daycast: alarm on forecasts of tiny"]
    assert "run: daycast run dataset=tiny --fetch" in told[0]["message"]
    assert events == ["daycast.alarm"] * 2  # on each day it asks for training, and the retrain rule answers
    raised = [one for one in found.alarms if one.raised]
    assert "error" in {one.name for one in raised}
    for one in raised:
        assert f"{one.name}: {one.cause}" in told[0]["message"]
        assert set(one.series) == {"bus", "rail"}
    assert "series: " in told[0]["message"]
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith('{"daycast"')]
    (line,) = [json.loads(one) for one in lines]
    assert line["title"] == "daycast: alarm on forecasts of tiny"
    assert line["command"] == "daycast run dataset=tiny --fetch"
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        week = tables.alarm_episodes.c.last
        ago = date.today() - timedelta(days=8)
        connection.execute(tables.alarm_episodes.update().values({week: ago, tables.alarm_episodes.c.began: ago}))
        own = tables.ledger.c.run_id == "monitored"
        connection.execute(tables.ledger.delete().where(own))
        connection.execute(
            tables.forecasts.update().where(tables.forecasts.c.run_id == "monitored").values(dataset="x")
        )
    monitored(None)
    assert [notice["title"] for notice in told[1:]] == ["daycast: no alarm on forecasts of tiny any more"]
    assert events == ["daycast.alarm"] * 2


def test_a_place_that_takes_no_notice_gets_it_from_the_next_run(
    project: Project, told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, today = project.config(), date(2024, 1, 2)
    alarm = AlarmRef(name="drift", raised=True, figure=1.0, threshold=0.2, cause="off", series=("rail",))
    found = monitored().model_copy(update={"alarms": (alarm,), "alarm": True})
    here = os.environ["DAYCAST_NOTIFY_URLS"]
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", "json://127.0.0.1:1/nobody")
    (episode,) = episodes.follow(project.settings, config, found, today)
    notice = episodes.notice("tiny", episode, None, "daycast run")
    with pytest.raises(ToolError):
        tell_people.fn(notice, episode, today)
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", here)
    (episode,) = episodes.follow(project.settings, config, found, today)
    assert tell_people.fn(notice, episode, today) == 1
    assert episodes.follow(project.settings, config, found, today) == ()
    assert "series: rail" in told[0]["message"]
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(tables.alarm_episodes.delete())


def test_what_was_found_is_in_an_experiment_of_its_own_once(forecasts: pd.DataFrame, project: Project) -> None:
    assert len(forecasts)
    first, second = monitored(None), monitored(None)
    assert first.run_id == second.run_id is not None
    run = tracking.find(project.tracking, first.run_id)
    assert run.status == "FINISHED"
    assert run.metrics["skill"] == pytest.approx(first.skill)
    assert run.metrics["bias"] == pytest.approx(first.bias)
    assert run.metrics["alarm_error"] == pytest.approx(next(a.figure for a in first.alarms if a.name == "error"))
    assert "mae_by_step" in run.metrics
    assert tracking.latest(project.tracking, "tiny-monitoring", {}) is not None
    assert "no forecast" not in tracking.text(project.tracking, first.run_id, "by_cutoff.csv")
    assert monitored().run_id is None  # as of a past day


def test_the_alarms_of_past_days_are_shown_day_by_day(forecasts: pd.DataFrame, project: Project) -> None:
    assert len(forecasts)
    data = project.data.until(UNTIL)
    found = alarms(project.settings, project.config(), data, date(2019, 6, 1))
    days = pd.read_csv(found.days, parse_dates=["day"])
    assert days["day"].nunique() == 20
    assert set(days["alarm"]) == {"error", "skill", "coverage", "drift", "late", "stopped"}
    assert Path(found.plot).stat().st_size > 5000
    with pytest.raises(ConfigError, match="a day up to"):
        alarms(project.settings, project.config(), data, date(2019, 7, 1))


def test_data_that_are_late_fail_the_run_and_are_told_by_the_last_good_version(
    project: Project, told: list[dict[str, str]]
) -> None:
    file = project.settings.root / "conf/dataset/tiny.yaml"
    before = file.read_text()
    good = project.data
    try:
        file.write_text(before.replace("max_age_days: null", "max_age_days: 30"))
        for _ in range(2):
            with pytest.raises(DataError):
                monitored(None)
    finally:
        file.write_text(before)
        with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
            connection.execute(tables.alarm_episodes.delete())
    assert [notice["title"] for notice in told] == ["daycast: data of tiny are late or missing"]
    assert "late: the newest observation is" in told[0]["message"]
    assert "run: daycast ingest dataset=tiny" in told[0]["message"]
    monitored(None)
    assert project.data.version == good.version


def daycast(project: Project, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``daycast monitor`` as somebody runs it by hand."""
    given = {**os.environ, "DAYCAST_STORE_URL": project.settings.store_url, **env}
    command = [sys.executable, "-m", "daycast", "monitor", "dataset=tiny", "--quiet", *words]
    return subprocess.run(command, cwd=project.settings.root, env=given, capture_output=True, text=True, check=False)


@contextmanager
def age_checked(project: Project) -> Iterator[None]:
    """Inside the block, the dataset's data are too old."""
    file = project.settings.root / "conf/dataset/tiny.yaml"
    before = file.read_text()
    file.write_text(before.replace("max_age_days: null", "max_age_days: 30"))
    try:
        yield
    finally:
        file.write_text(before)
        monitored(None)  # the good version is in force again
        with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
            connection.execute(tables.alarm_episodes.delete())


@pytest.mark.parametrize("forecasts", [0.9], indirect=True)
def test_without_mlflow_the_alarm_is_shown_with_the_fault_and_the_run_fails(
    forecasts: pd.DataFrame, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(forecasts)
    nobody = "http://127.0.0.1:9"
    with alone(project):
        by_hand = daycast(project, MLFLOW_TRACKING_URI=nobody)
        machine = daycast(project, "--json", MLFLOW_TRACKING_URI=nobody)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", nobody)
        state = monitoring(dataset="tiny", fetch=False, return_state=True)
    assert by_hand.returncode == machine.returncode == 7, by_hand.stderr
    assert "ALARM: error: mean absolute error" in by_hand.stdout
    assert "By horizon step" in by_hand.stdout
    assert "not logged to MLflow: " in by_hand.stdout
    assert "daycast: ToolError" in by_hand.stderr
    assert "check MLFLOW_TRACKING_URI" in by_hand.stderr
    told = json.loads(machine.stdout)
    assert told["alarm"]
    assert (told["error"]["type"], told["error"]["exit_code"]) == ("ToolError", 6)
    assert "MLFLOW_TRACKING_URI" in told["unlogged"]["fix"]
    assert state.is_failed()  # scheduled, somebody is told of it


def test_without_an_alarm_a_fault_keeps_its_own_exit_code_and_figures_are_told_all_the_same(
    forecasts: pd.DataFrame, project: Project
) -> None:
    with alone(project):
        done = daycast(project, "--json", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    told = json.loads(done.stdout)
    assert (done.returncode, told["alarm"], told["n_rows"]) == (6, False, len(forecasts))
    assert "daycast: ToolError" in done.stderr


def test_data_that_are_late_are_shown_by_hand_as_an_alarm_with_what_is_wrong_with_them(project: Project) -> None:
    with age_checked(project):
        done = daycast(project)
    assert done.returncode == 7, done.stderr
    assert "ALARM: late: the newest observation is" in done.stdout
    assert "daycast: ContractError" in done.stderr


def test_an_experiment_that_somebody_deleted_is_named_with_what_brings_it_back(
    forecasts: pd.DataFrame, project: Project
) -> None:
    assert len(forecasts)
    monitored(None)  # made
    client = MlflowClient(project.settings.tracking_uri)
    found = client.get_experiment_by_name("daycast/tiny-monitoring")
    client.delete_experiment(found.experiment_id)
    try:
        with pytest.raises(ToolError, match="the experiment daycast/tiny-monitoring, active") as error:
            monitored(None)
    finally:
        client.restore_experiment(found.experiment_id)
    assert f"mlflow experiments restore -x {found.experiment_id}" in error.value.fix
    assert monitored(None).unlogged is None


def test_an_alarm_suggests_the_training_that_is_deployed_and_else_one_that_can_start(project: Project) -> None:
    assert again.command("tiny") == "daycast run dataset=tiny --fetch"
    plain = project.settings.root / "conf/dataset/plain.yaml"
    told = yaml.safe_load(plain.with_name("tiny.yaml").read_text())
    told |= {"name": "plain", "covariates": {"known": {}, "past": [], "static": {}}}
    plain.write_text(yaml.safe_dump(told))
    try:
        with pytest.raises(ConfigError, match="suit the dataset"):
            project.config("dataset=plain")
        words = shlex.split(again.command("plain"))
        assert words[:3] == ["daycast", "run", "dataset=plain"]
        assert words[-1] == "--fetch"
        assert project.config(*words[2:-1]).model
        deployed = ["dataset=plain", "model=[naive,seasonal_naive]", "seed=3"]
        with get_client(sync_client=True) as prefect:
            flow = prefect.create_flow_from_name("training")
            made = prefect.create_deployment(flow, "plain", parameters={"overrides": deployed, "fetch": True})
            try:
                suggested = again.command("plain")
            finally:
                prefect.delete_deployment(made)
    finally:
        plain.unlink()
    assert suggested == "daycast run dataset=plain 'model=[naive,seasonal_naive]' seed=3 --fetch"
