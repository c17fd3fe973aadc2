"""Who waits for the GPU pool, and for how long; the way there and back is in ``test_up``."""

from __future__ import annotations

import threading
import time

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Scheduled, State
from tests.project import Project

from flows import modelling, pools, turns

pytestmark = pytest.mark.xdist_group("flows")


@pytest.mark.parametrize(
    ("state", "patience"),
    [
        (Scheduled(name=pools.IN_QUEUE), "PICKED_UP_S"),  # behind a run of a worker that died
        (Pending(), "STARTED_S"),  # of a worker that died as it began
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_what_was_sent_to_a_pool_whose_worker_died_is_called_off_and_done_here(
    project: Project, monkeypatch: pytest.MonkeyPatch, state: State[None], patience: str
) -> None:
    for name, seconds in {"BETWEEN_S": 0.2, "PICKED_UP_S": 60.0, "STARTED_S": 60.0, patience: 2.0}.items():
        monkeypatch.setattr(pools, name, seconds)
    with get_client(sync_client=True) as prefect:
        at = prefect.create_deployment(prefect.create_flow(modelling.modelling), "tiny")

    def sent() -> FlowRun | None:
        with get_client(sync_client=True) as prefect:
            found = [run for run in prefect.read_flow_runs(limit=200) if run.deployment_id == at]
            return max(found, key=lambda run: run.created, default=None)

    before = sent()

    def take() -> None:
        while (run := sent()) is None or (before and run.id == before.id):
            time.sleep(0.1)
        with get_client(sync_client=True) as prefect:
            prefect.set_flow_run_state(run.id, state, force=True)

    @flow
    def sender() -> bool:
        return pools._on_gpu(["dataset=tiny"], project.data, "forecast") is None

    worker = threading.Thread(target=take)
    worker.start()
    assert sender()
    worker.join()
    ended = sent()
    assert ended is not None
    assert ended.state_name == "Cancelled"


def test_one_run_at_a_time_is_at_the_data_of_a_dataset(project: Project) -> None:
    at_once, most = [], []

    def work() -> None:
        with turns.taken("tiny"):
            at_once.append(1)
            most.append(len(at_once))
            time.sleep(0.3)
            at_once.pop()

    def all_of_them() -> int:
        most.clear()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(most)

    assert all_of_them() > 1  # without a limit, as where nothing was deployed
    with get_client(sync_client=True) as prefect:
        turns.make(prefect, "tiny")
        turns.make(prefect, "tiny")  # deploying again changes nothing
        try:
            assert all_of_them() == 1
            assert most == [1, 1, 1]
            assert project.train("model=[naive]", last="tune").data == project.data
        finally:
            prefect.delete_global_concurrency_limit_by_name(turns.named("tiny"))
