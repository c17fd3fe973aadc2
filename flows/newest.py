"""Newest only: of the runs of a deployment that are due, the newest does the work, and the others end early.

Runs that were missed while no worker was there would else be made up for, one after the other, each with the data of
today. What happened on past days is asked for by name, with ``as_of`` or ``daycast backfill``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import State
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import flow_run
from prefect.states import Cancelled

SUPERSEDED = "Superseded"


def superseded() -> State[Any] | None:
    """The state to end this run with if a newer one of its deployment, of the same parameters, is due; else ``None``.

    All others that wait in between end with it, so that a long backlog costs one start of a process, not one each. A
    run of no deployment, or for a day given by ``as_of``, is never superseded.
    """
    if flow_run.id is None or (flow_run.parameters or {}).get("as_of") is not None:
        return None
    with get_client(sync_client=True) as prefect:
        own = prefect.read_flow_run(flow_run.id)
        if own.deployment_id is None or own.expected_start_time is None:
            return None
        newest = _newest_due(prefect, own)
        if newest is None:
            return None
        for waiting in _due(prefect, own, newest.expected_start_time):
            if waiting.state_type == StateType.SCHEDULED and waiting.id not in (own.id, newest.id):
                prefect.set_flow_run_state(waiting.id, _state(newest))
        return _state(newest)


def _state(newest: FlowRun) -> State[Any]:
    when = newest.expected_start_time
    told = f"superseded by {newest.name}, due {when:%Y-%m-%d %H:%M:%S %Z}" if when else f"superseded by {newest.name}"
    return Cancelled(name=SUPERSEDED, message=told)


def _newest_due(prefect: SyncPrefectClient, own: FlowRun) -> FlowRun | None:
    """The newest run that was due after this one, unless it was called off or failed."""
    after = [r for r in _due(prefect, own, datetime.now(UTC)) if r.expected_start_time > own.expected_start_time]  # type: ignore[operator]
    no_more = (StateType.CANCELLED, StateType.CANCELLING, StateType.FAILED, StateType.CRASHED)
    return next((r for r in after if r.id != own.id and r.state_type not in no_more), None)


def _due(prefect: SyncPrefectClient, own: FlowRun, until: datetime | None) -> list[FlowRun]:
    """Runs like this one that were due before a point in time, newest first."""
    found = prefect.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[own.deployment_id] if own.deployment_id else []),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=until),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=200,
    )
    return [r for r in found if r.parameters == own.parameters and r.expected_start_time is not None]
