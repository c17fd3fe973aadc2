"""`daycast up` on one machine: what it starts, who uses it, and that nothing is left when it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx
import psutil
import pytest
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Scheduled
from tests.flows.house import House, listening, port_of
from tests.project import lay_out

from daycast import models
from daycast.adapters import supervision
from daycast.settings import running
from daycast.steps import data
from flows import servers

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(900)]

NOTHING = {"servers": [], "left_over": 0, "prefect": None, "error": None}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A project in a folder with blanks and a percent sign, its servers up."""
    made = House(lay_out(tmp_path_factory.mktemp("a house") / "100% of its own"))
    try:
        assert made.daycast("up", "--detach")["started"]
        yield made
    finally:
        made.end()


def test_all_of_it_is_healthy_and_on_this_machine_alone(house: House) -> None:
    told = {one["name"]: one for one in house.daycast("status")["servers"]}
    assert set(told) == {"mlflow", "prefect", "worker-cpu"}
    assert all(one["healthy"] and one["state"] == "RUNNING" for one in told.values())
    ports = {port_of(one["url"]) for one in told.values()}
    own = {p.pid for p in house.processes()}
    bound = {c.laddr.ip for c in psutil.net_connections("inet") if c.pid in own and c.status == psutil.CONN_LISTEN}
    assert bound == {"127.0.0.1"}
    assert all(listening(port) for port in ports)


def test_the_dashboard_asks_its_own_server(house: House) -> None:
    api = house.address["PREFECT_API_URL"]
    assert httpx.get(f"{api.removesuffix('/api')}/ui-settings").json()["api_url"] == api


def test_the_flows_are_deployed_with_their_schedules_in_the_datasets_time(house: House) -> None:
    with house.prefect() as prefect:
        found = {f"{prefect.read_flow(d.flow_id).name}/{d.name}": d for d in prefect.read_deployments()}
        pools = {pool.name: pool.status.value for pool in prefect.read_work_pools()}
        automations = {a.name for a in prefect.read_automations()}
    daily = {f"{name}/tiny" for name in ("forecasting", "monitoring", "training", "backfill")}
    assert set(found) == daily | {"modelling/tiny", "notifying/failures"}
    zones = {name: [s.schedule.timezone for s in found[name].schedules] for name in daily}
    assert zones == {name: ["America/Chicago"] for name in daily} | {"backfill/tiny": []}
    assert found["modelling/tiny"].work_pool_name == "gpu"
    assert pools == {"cpu": "READY", "gpu": "NOT_READY"}
    assert len(automations) == 3


def test_a_second_up_shows_what_runs_and_starts_nothing(house: House) -> None:
    before = {p.pid for p in house.processes()}
    again = house.daycast("up", "--detach")
    assert not again["started"]
    assert {one["pid"] for one in again["servers"]} <= before
    assert {p.pid for p in house.processes()} == before
    with house.prefect() as prefect:
        assert len(prefect.read_automations()) == 3
        assert len(prefect.read_deployments()) == 6
        # Each worker fills in where its own clone is.
        (step,) = prefect.read_deployment_by_name("forecasting/tiny").pull_steps
        assert step["prefect.deployments.steps.set_working_directory"] == {"directory": "{{ $DAYCAST_ROOT }}"}


def test_trainings_that_are_deployed_have_the_overrides_that_a_replay_had(house: House) -> None:
    def overrides() -> list[str]:
        with house.prefect() as prefect:
            parameters = prefect.read_deployment_by_name("training/tiny").parameters
        assert parameters["fetch"]
        return list(parameters["overrides"])

    house.daycast("deploy", "dataset=tiny", "model=[naive]", "promotion=living")
    assert overrides() == ["dataset=tiny", "model=[naive]", "promotion=living"]
    for loose in ("monitoring.calm_days=3", "promotion.champion.margin=0", "model=[nobody]"):
        house.daycast("deploy", "dataset=tiny", loose, code=2)
    assert overrides() == ["dataset=tiny", "model=[naive]", "promotion=living"]
    house.daycast("deploy", "dataset=tiny")
    assert overrides() == ["dataset=tiny"]
    with house.prefect() as prefect:
        (daily,) = prefect.read_deployment_by_name("training/tiny").schedules
    assert daily.parameters == {"by_rule": True}


def test_a_second_up_that_asks_for_something_else_is_told_and_changes_nothing(house: House) -> None:
    before = {p.pid for p in house.processes()}
    said = house.daycast("up", "--detach", "--gpu", "--mlflow-port", "1", code=6)
    assert "expected: mlflow on port 1 and a worker of the pool gpu" in said
    assert "`daycast down`" in said
    assert {p.pid for p in house.processes()} == before


def test_a_run_uses_the_servers_while_they_are_there(house: House) -> None:
    told = house.daycast("run", "model=[naive,seasonal_naive]")
    assert told["champion"]["model"] == "seasonal_naive"
    with house.prefect() as prefect:
        runs = {run.name: run.state_name for run in prefect.read_flow_runs()}
    assert runs["training model=[naive,seasonal_naive]"] == "Completed"
    link = f"{house.address['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/runs/get?run_id={told['run']['run_id']}"
    assert httpx.get(link).json()["run"]["info"]["status"] == "FINISHED"


def trained(house: House, seed: int) -> tuple[FlowRun, str]:
    """A run of the deployed training that has ended, and its log."""
    # The accelerator is named, or the GPU pool's would be asked of this machine.
    overrides = ["dataset=tiny", "model=[naive,seasonal_naive]", f"seed={seed}", "trainer.accelerator=cpu"]
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("training/tiny").id
        run = prefect.create_flow_run_from_deployment(at, parameters={"overrides": overrides, "fetch": False})
        house.until("the training", lambda: prefect.read_flow_run(run.id).state.is_final(), 270)
        logs = prefect.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])), limit=200)
        return prefect.read_flow_run(run.id), "\n".join(line.message for line in logs)


def test_the_heavy_steps_of_training_run_on_the_gpu_pool_while_it_has_a_worker_and_here_when_it_died(
    house: House,
) -> None:
    place = {**house.place(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    del place["capture_output"], place["check"], place["text"]
    state = {"DAYCAST_ROOT": str(house.settings.root), "PREFECT_HOME": str(house.settings.state / "prefect")}
    place["env"] |= {**house.address, **state}
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu", "--type", "process"]
    worker = subprocess.Popen(words, **place)
    try:
        with house.prefect() as prefect:
            house.until("the worker", lambda: prefect.read_work_pool("gpu").status.value == "READY")
            # As of a sender that is gone: what it sent goes on, and the next one waits for it.
            at = prefect.read_deployment_by_name("modelling/tiny").id
            given = {"overrides": ["dataset=tiny", "model=[naive]", "trainer.accelerator=cpu"]}
            given |= {"data": data.in_force(house.settings, "tiny").model_dump(mode="json")}
            orphan = prefect.create_flow_run_from_deployment(at, parameters=given)
        run, log = trained(house, 31)
    finally:
        worker.kill()  # so that nobody hears of its end
        worker.wait()
    assert run.state_name == "Completed", log
    assert "the heavy steps run on pool gpu, as run" in log
    with house.prefect() as prefect:
        sent = [r for r in prefect.read_flow_runs(limit=200) if r.work_pool_name == "gpu"]
        assert [(r.name, r.state_name) for r in sent] == [("modelling tiny", "Completed")] * 2
        first, then = sorted(sent, key=lambda one: one.start_time)
        assert first.id == orphan.id
        assert first.end_time <= then.start_time
        assert prefect.read_work_pool("gpu").status.value == "READY"  # as far as is known
    run, log = trained(house, 37)
    assert run.state_name == "Completed", log
    assert "the heavy steps run on pool cpu: no worker of pool gpu took them" in log


def test_what_is_next_and_what_is_stuck_is_told(house: House) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    with house.prefect() as prefect:
        at = prefect.read_deployment_by_name("modelling/tiny").id
        given = {"overrides": ["dataset=tiny"], "data": data.in_force(house.settings, "tiny").model_dump(mode="json")}
        overdue = Scheduled(scheduled_time=long_ago)
        waiting = prefect.create_flow_run_from_deployment(at, state=overdue, parameters=given)
    told = house.daycast("status")["prefect"]
    due = {one["deployment"]: datetime.fromisoformat(one["due"]) for one in told["upcoming"]}
    assert set(due) == {"forecasting/tiny", "monitoring/tiny", "training/tiny"}
    local = {name: when.astimezone(ZoneInfo("America/Chicago")).time() for name, when in due.items()}
    assert local == {"forecasting/tiny": time(6), "monitoring/tiny": time(7), "training/tiny": time(8)}
    (stuck,) = told["stuck"]
    assert (stuck["run"], stuck["reason"]) == ("modelling", "waits for a worker")
    shown = house.run("status").stdout
    for heading in ("Pools", "Running", "Next", "Failed last", "Stuck"):
        assert heading in shown
    assert "modelling: " in shown.partition("Stuck")[2]
    assert "forecasting/tiny" in shown.partition("Next")[2]
    with house.prefect() as prefect:
        prefect.set_flow_run_state(waiting.id, Cancelled())


def test_the_pages_are_named(house: House) -> None:
    done = house.run("ui", "--no-browser")
    assert done.returncode == 0, done.stderr
    uri, api = house.address["MLFLOW_TRACKING_URI"], house.address["PREFECT_API_URL"]
    assert done.stdout.split() == ["mlflow:", uri, "prefect:", api.removesuffix("/api")]


def test_a_process_that_dies_is_started_again(house: House) -> None:
    before = house.pid("mlflow")
    os.kill(before, signal.SIGKILL)
    house.until("a new MLflow", lambda: house.pid("mlflow") not in (0, before))
    house.until("it answers", lambda: all(one["healthy"] for one in house.daycast("status")["servers"]))


def test_down_ends_all_of_it_and_the_next_commands_do_without(house: House) -> None:
    ports = [port_of(one["url"]) for one in house.daycast("status")["servers"]]
    assert house.daycast("down")["ended"] >= 4
    assert house.processes() == []
    assert not any(listening(port) for port in ports)
    assert house.daycast("down")["ended"] == 0
    assert house.daycast("status") == NOTHING
    told = house.daycast("run", "model=[naive,seasonal_naive]")  # what the servers kept is read without them
    assert told["forecast"]["new_rows"] == 0


def test_after_an_unclean_end_the_next_up_clears_up_and_starts_anew(house: House) -> None:
    assert house.daycast("up", "--detach")["started"]
    old = {p.pid for p in house.processes()}
    os.kill(house.pid("prefect"), signal.SIGSTOP)  # one that does not react to anything
    os.kill(supervision.alive(servers.folder(house.settings)) or 0, signal.SIGKILL)
    told = house.daycast("status")
    assert told["servers"] == []
    assert 3 <= told["left_over"] < len(old)  # MLflow, Prefect and the worker, but not the supervisor
    assert house.daycast("up", "--detach")["started"]
    assert old.isdisjoint({p.pid for p in house.processes()})
    assert all(one["healthy"] for one in house.daycast("status")["servers"])
    house.daycast("down")
    assert house.processes() == []


def test_a_port_that_is_taken_is_named_with_who_has_it_and_nothing_is_left_running(house: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = house.daycast("up", "--detach", "--prefect-port", str(port), code=6)
    assert f"port {port} to be free" in said
    assert f"process {os.getpid()}" in said
    assert house.processes() == []


def test_a_worker_for_a_gpu_that_is_not_there_is_refused(house: House) -> None:
    if models.gpus():
        pytest.skip("this machine has a GPU")
    said = house.daycast("up", "--detach", "--gpu", code=2)
    assert "a GPU on this machine" in said
    assert house.processes() == []


def test_a_record_whose_process_number_another_process_has_by_now_counts_for_nothing(house: House) -> None:
    record = house.settings.state / "servers.json"
    told = {"pid": os.getpid(), "began": 1, "environment": {"PREFECT_API_URL": "http://127.0.0.1:9/api"}}
    record.write_text(json.dumps(told))
    assert house.daycast("status") == NOTHING


def in_front(house: House) -> subprocess.Popen[str]:
    """``daycast up``, as a job of a terminal."""
    place = {**house.place(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    del place["capture_output"], place["check"]
    return subprocess.Popen(house.command("up"), start_new_session=True, **place)


def test_an_up_that_is_killed_while_it_starts_is_no_dead_end(house: House) -> None:
    starting = in_front(house)
    house.until("Prefect's process", lambda: any("prefect" in " ".join(p.cmdline()) for p in house.processes()))
    starting.kill()
    starting.communicate()
    assert house.processes() != []
    assert house.daycast("up", "--detach")["started"]
    assert all(one["healthy"] for one in house.daycast("status")["servers"])
    house.daycast("down")
    assert house.processes() == []


def test_a_supervisor_that_dies_is_told_of_and_what_it_left_is_ended(house: House) -> None:
    watching = in_front(house)
    try:
        house.until("it is up", lambda: watching.poll() is not None or running(house.settings.state))
        os.kill(supervision.alive(servers.folder(house.settings)) or 0, signal.SIGKILL)
        out, err = watching.communicate(timeout=120)
    finally:
        if watching.poll() is None:
            watching.kill()
    assert watching.returncode == 6, out + err
    assert "their supervisor has died" in err
    assert house.processes() == []


def test_a_page_on_a_port_that_is_taken_is_refused(house: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = house.run("ui", "--no-browser", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 6
    assert "to be free" in done.stderr
    assert "Ctrl-C" not in done.stdout


def test_a_terminal_shows_all_of_it_alive_and_ctrl_c_ends_all_of_it(house: House) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 140))
    place = {**house.place(), "stdout": theirs, "stderr": subprocess.PIPE}
    del place["capture_output"], place["check"]
    watching = subprocess.Popen(house.command("up"), start_new_session=True, **place)
    os.close(theirs)
    shown = ""
    try:
        while "worker-cpu" not in shown or shown.count("healthy") < 3:
            shown += os.read(ours, 4096).decode()
        again = shown.count("worker-cpu")
        while shown.count("worker-cpu") < again + 2:  # it is drawn anew
            shown += os.read(ours, 4096).decode()
        os.killpg(watching.pid, signal.SIGINT)  # as a terminal does, to all of its job
        err = watching.communicate(timeout=120)[1]
    finally:
        if watching.poll() is None:
            watching.kill()
        os.close(ours)
    assert watching.returncode == 0, err
    assert house.processes() == []
    assert "Traceback" not in shown + err
    for what in ("what", "URL", "pid", "health", "mlflow", "prefect", "http://127.0.0.1:"):
        assert what in shown


def test_in_a_pipe_it_is_told_once_what_runs(house: House) -> None:
    watching = in_front(house)
    try:
        house.until("it is up", lambda: watching.poll() is not None or running(house.settings.state))
        assert watching.stdout is not None
        told = "".join(watching.stdout.readline() for _ in range(7))  # three rows, a header, and lines around them
        os.killpg(watching.pid, signal.SIGINT)
        out, err = watching.communicate(timeout=120)
    finally:
        if watching.poll() is None:
            watching.kill()
    assert watching.returncode == 0, err
    assert all(name in told for name in ("what", "mlflow", "prefect", "worker-cpu"))
    assert told.count("healthy") == 3
    assert "healthy" not in out
    assert house.processes() == []
