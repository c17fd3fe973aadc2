"""What Prefect has scheduled, what failed last and why, and what is stuck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventOrder, EventResourceFilter
from pydantic import BaseModel

from flows import notifying
from flows.deploying import LOST, deployments, server

LATE = timedelta(minutes=5)  # a run that is due for longer is waiting for a worker, or for another run to end


class Running(BaseModel):
    """A run at work."""

    run: str
    since: datetime | None


class Next(BaseModel):
    """A run to come."""

    deployment: str
    due: datetime


class Failed(BaseModel):
    """A run that did not end well; ``command`` does the same by hand."""

    run: str
    state: str
    ended: datetime | None
    cause: str
    command: str


class Stuck(BaseModel):
    """A run that does not get on."""

    run: str
    state: str
    since: datetime | None
    reason: str


class Overview(BaseModel):
    """Of a Prefect server: pool -> status, runs at work, the next of each deployment, failures, and what is stuck."""

    pools: dict[str, str]
    running: list[Running]
    upcoming: list[Next]
    failed: list[Failed]
    stuck: list[Stuck]


def overview(url: str | None = None, failures: int = 3) -> Overview:
    """Look at the server at ``url``, else at the one in the environment.

    Raises:
        ConfigError: there is none. ToolError: it does not answer.
    """
    with server(url) as prefect:
        return Overview(
            pools={pool.name: pool.status.value if pool.status else "-" for pool in prefect.read_work_pools()},
            running=[Running(run=_name(prefect, r), since=r.start_time) for r in _runs(prefect, [StateType.RUNNING])],
            upcoming=_upcoming(prefect),
            failed=_failed(prefect, failures),
            stuck=_stuck(prefect, datetime.now(UTC)),
        )


def _upcoming(prefect: SyncPrefectClient) -> list[Next]:
    found = []
    for one in deployments(prefect):
        flow = prefect.read_flow(one.flow_id).name
        # One that was due a moment ago waits for a worker to ask; one that is due for long is stuck.
        due = _runs(prefect, [StateType.SCHEDULED], after=datetime.now(UTC) - LATE, deployment=str(one.id))
        found += [Next(deployment=f"{flow}/{one.name}", due=due[0].expected_start_time)] if due else []
    return sorted(found, key=lambda n: n.due)


def _failed(prefect: SyncPrefectClient, most: int) -> list[Failed]:
    found = prefect.read_flow_runs(
        flow_run_filter=_in(StateType.FAILED, StateType.CRASHED), sort=FlowRunSort.END_TIME_DESC, limit=most
    )
    of_flow = [(run, prefect.read_flow(run.flow_id).name) for run in found]
    return [
        Failed(
            run=notifying.named(run, flow),
            state=str(run.state_name),
            ended=run.end_time,
            cause=notifying.of(run, flow, notifying.said(prefect, run)).cause,
            command=notifying.command(flow, run.parameters),
        )
        for run, flow in of_flow
    ]


def _stuck(prefect: SyncPrefectClient, now: datetime) -> list[Stuck]:
    out = []
    for run in _runs(prefect, [StateType.SCHEDULED, StateType.PENDING], before=now - LATE):
        waits = (
            "for another run of its deployment to end"
            if run.state_name == "AwaitingConcurrencySlot"
            else "for a worker"
        )
        out.append(
            Stuck(
                run=_name(prefect, run),
                state=str(run.state_name),
                since=run.expected_start_time,
                reason=f"waits {waits}",
            )
        )
    for run in _runs(prefect, [StateType.RUNNING, StateType.CANCELLING]):
        began = run.start_time or now
        last = _heartbeat(prefect, run, began) if run.deployment_id else None
        # A run that was started by hand sends none where no server was up at first.
        if run.deployment_id and now - max(began, last or began) > LOST:
            out.append(
                Stuck(run=run.name, state=str(run.state_name), since=last or began, reason="no sign of life since then")
            )
    return out


def _name(prefect: SyncPrefectClient, run: FlowRun) -> str:
    return notifying.named(run, prefect.read_flow(run.flow_id).name)


def _heartbeat(prefect: SyncPrefectClient, run: FlowRun, since: datetime) -> datetime | None:
    wanted = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
        occurred=EventOccurredFilter(since=since - timedelta(hours=1)),
        order=EventOrder.DESC,
    )
    events = prefect.read_events(filter=wanted, limit=1).events
    return events[0].occurred if events else None


def _in(*types: StateType) -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))


def _runs(
    prefect: SyncPrefectClient,
    types: list[StateType],
    before: datetime | None = None,
    after: datetime | None = None,
    deployment: str | None = None,
) -> list[FlowRun]:
    wanted = _in(*types)
    if before or after:
        wanted.expected_start_time = FlowRunFilterExpectedStartTime(before_=before, after_=after)
    if deployment:
        from uuid import UUID

        from prefect.client.schemas.filters import FlowRunFilterDeploymentId

        wanted.deployment_id = FlowRunFilterDeploymentId(any_=[UUID(deployment)])
    return prefect.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200)
