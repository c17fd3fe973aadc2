"""Schedules, a worker and its death, for real: every row lands once, and what was missed does not pile up."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flows.deploying import deploy
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.states import Scheduled
from tests.adapters import postgres
from tests.flows.house import House
from tests.project import lay_out

from daycast.adapters import store
from daycast.config import dataset_only

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(1200)]

LOST = timedelta(seconds=45)  # of silence; a run tells that it lives every 30 s
EVERY = timedelta(seconds=45)  # longer than a run, its start included, takes on a busy machine
ROWS = 14  # two series, a horizon of a week
ON_ONE = pytest.mark.parametrize("house", ["sqlite"], indirect=True, scope="module")  # the database makes no difference


class Sink:
    """A webhook on this machine, and what it was sent."""

    def __init__(self) -> None:
        told: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self.told, self.server = told, ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[House]:
    """A trained project, its servers up; Prefect, the studies and the forecast store on either database."""
    with ExitStack() as stack:
        made = House(lay_out(tmp_path_factory.mktemp("a house") / "of its own"), {"DAYCAST_NOTIFY_URLS": sink.url})
        if request.param == "postgresql":
            url = stack.enter_context(postgres.server())
            made.settings = type(made.settings)(**{**vars(made.settings), "studies_url": url, "store_url": url})
            made.environment |= {
                "DAYCAST_STUDIES_URL": url,
                "DAYCAST_STORE_URL": url,
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": url.replace("psycopg2", "asyncpg"),
            }
        stack.callback(made.end)
        made.daycast("up", "--detach")
        made.daycast("run", "model=[naive,seasonal_naive]")
        deploy(made.settings, dataset_only(made.settings.root, "tiny"), made.address["PREFECT_API_URL"], lost=LOST)
        yield made
        made.daycast("down")
        assert made.processes() == []


def runs(house: House, *names: str) -> list[FlowRun]:
    """The runs of the forecasting flow by a schedule or by hand, in these states, oldest first."""
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("forecasting/tiny").id
        found = [r for r in prefect.read_flow_runs(limit=200) if r.deployment_id == at]
    wanted = [r for r in found if r.state_name in names]
    return sorted(wanted, key=lambda r: r.expected_start_time or datetime.now(UTC))


def forget_forecasts(house: House) -> None:
    """An empty store, so that a run has rows to write."""
    with store.opened(house.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(store.tables.forecasts.delete())


def often(house: House) -> None:
    """In the place of the daily schedule, one that does not let us wait."""
    off_schedule(house)
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("forecasting/tiny").id
        prefect.create_deployment_schedules(
            at, [(IntervalSchedule(interval=EVERY, anchor_date=datetime.now(UTC)), True)]
        )


def off_schedule(house: House) -> None:
    """No schedule any more, and no run that waits or is at work."""
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("forecasting/tiny").id
        for old in prefect.read_deployment_schedules(at):
            prefect.delete_deployment_schedule(at, old.id)
        for waiting in runs(house, "Scheduled", "Late", "AwaitingConcurrencySlot"):
            prefect.delete_flow_run(waiting.id)
    house.until("all runs to end", lambda: not runs(house, "Running", "Pending", "Submitting"))


def test_a_schedule_fires_the_forecast_again_and_again_and_every_row_lands_once(house: House) -> None:
    forget_forecasts(house)
    often(house)
    try:
        house.until("two runs", lambda: len(runs(house, "Completed")) >= 2)
    finally:
        off_schedule(house)
    done = runs(house, "Completed")
    assert len({r.expected_start_time for r in done}) >= 2
    assert all(r.auto_scheduled for r in done)
    rows = house.rows()
    assert len(rows) == ROWS
    assert not rows.duplicated(["unique_id", "ds", "cutoff", "model_version"]).any()


def test_a_worker_that_is_killed_in_the_middle_leaves_a_crashed_run_and_the_next_one_finishes_the_work(
    house: House, sink: Sink
) -> None:
    forget_forecasts(house)
    told = len(sink.told)
    often(house)
    # Started by hand: of a run that its schedule made within five minutes of its start, Prefect passes events on a
    # quarter of an hour late, as it waits for the one of its being scheduled, which it never sends.
    with house.prefect() as prefect:
        made = prefect.create_flow_run_from_deployment(prefect.read_deployment_by_name("forecasting/tiny").id)
    try:
        first = house.until("a run in the middle", lambda: [r for r in runs(house, "Running") if r.id == made.id])[0]
        before = house.pid("worker-cpu")
        os.kill(before, signal.SIGKILL)
        for engine in house.engines():  # as if the machine had gone: with its worker, all that it ran
            os.kill(engine.pid, signal.SIGKILL)
        house.until("a new worker", lambda: house.pid("worker-cpu") not in (0, before))
        assert house.rows().empty
        house.until("the lost run to be found out", lambda: first.id in {r.id for r in runs(house, "Crashed")})
        house.until("the next run", lambda: [r for r in runs(house, "Completed") if r.start_time > first.start_time])
    finally:
        off_schedule(house)
    assert len(house.rows()) == ROWS
    new = house.until("people to be told", lambda: sink.told[told:])
    crashed = next(n for n in new if "crashed" in n["title"])
    assert crashed["title"] == "daycast: forecasting tiny crashed"
    assert "no heartbeat" in crashed["message"]
    assert f"/runs/flow-run/{first.id}" in crashed["message"]
    assert "run: daycast forecast dataset=tiny --fetch" in crashed["message"]


@ON_ONE
def test_of_the_runs_that_were_missed_the_newest_does_the_work_and_the_others_are_superseded(house: House) -> None:
    off_schedule(house)
    now = datetime.now(UTC)
    with house.prefect() as prefect:
        for newer in runs(house, "Completed", "Crashed", "Superseded"):  # which would supersede all of them
            prefect.delete_flow_run(newer.id)
        at = prefect.read_deployment_by_name("forecasting/tiny").id
        prefect.update_work_pool("cpu", WorkPoolUpdate(is_paused=True))
        made = [
            prefect.create_flow_run_from_deployment(at, state=Scheduled(scheduled_time=now - timedelta(days=days))).id
            for days in (4, 3, 2, 1)
        ]
        prefect.update_work_pool("cpu", WorkPoolUpdate(is_paused=False))
    ended = lambda: [r for r in runs(house, "Completed", "Superseded") if r.id in made]  # noqa: E731
    house.until("all four to end", lambda: len(ended()) == 4)
    states = {r.id: r.state_name for r in ended()}
    assert [states[one] for one in made] == ["Superseded"] * 3 + ["Completed"]
    started = [r for r in ended() if r.state_type == StateType.CANCELLED and r.run_count]
    assert len(started) == 1  # one of them cost a process; it ended the others with itself


@ON_ONE
def test_wrong_input_fails_at_once_and_people_are_told_why_with_what_to_run(house: House, sink: Sink) -> None:
    told = len(sink.told)
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("forecasting/tiny").id
        run = prefect.create_flow_run_from_deployment(at, parameters={"dataset": "nothing"})
        house.until("the failure", lambda: prefect.read_flow_run(run.id).state_name == "Failed")
        assert prefect.read_flow_run(run.id).run_count == 1
    new = house.until("the notice", lambda: [n for n in sink.told[told:] if "nothing" in n["title"]])
    assert "ConfigError" in new[0]["message"]
    failed = house.daycast("status")["prefect"]["failed"]
    assert failed[0]["run"] == "forecasting nothing"
    assert failed[0]["command"] == "daycast forecast dataset=nothing --fetch"


@ON_ONE
def test_training_says_that_it_runs_on_the_cpu_pool_while_no_gpu_worker_is_there(house: House) -> None:
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("training/tiny").id
        overrides = ["dataset=tiny", "model=[naive,seasonal_naive]"]
        run = prefect.create_flow_run_from_deployment(at, parameters={"overrides": overrides})
        house.until("the training", lambda: prefect.read_flow_run(run.id).state_name == "Completed")
        logs = prefect.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])), limit=200)
    assert any("the heavy steps run on pool cpu: pool gpu has no worker" in line.message for line in logs)
