"""What a Prefect server needs to run daycast unattended: pools, deployments, automations; all may be made again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessWorker

from daycast.config import Dataset
from daycast.errors import ConfigError, ToolError
from daycast.settings import Settings
from flows import turns
from flows.monitoring import ALARM, resource
from flows.newest import SUPERSEDED

POOLS = {"cpu": "daycast: all flows", "gpu": "daycast: the heavy steps of training, while it has a worker"}
FLOWS = ("forecasting", "monitoring", "training", "backfill", "modelling")  # whose failures are told
LOST = timedelta(seconds=90)  # three heartbeats
PAGE = 200


@contextmanager
def server(url: str | None = None) -> Iterator[SyncPrefectClient]:
    """A client of the Prefect server at ``url``, else of the one in the environment.

    Raises:
        ConfigError: there is none. ToolError: it does not answer.
    """
    from httpx import HTTPError

    with temporary_settings({PREFECT_API_URL: url} if url else {}):
        if not PREFECT_API_URL.value():
            raise ConfigError("a Prefect server", "none", "start one with `daycast up`, or set PREFECT_API_URL")
        try:
            with get_client(sync_client=True) as prefect:
                yield prefect
        except HTTPError as error:
            raise ToolError(
                f"the Prefect server at {PREFECT_API_URL.value()} to answer",
                f"{type(error).__name__}: {error}",
                "check PREFECT_API_URL and PREFECT_API_AUTH_STRING, and that the server is up (`daycast status`)",
            ) from error


def deploy(
    settings: Settings,
    dataset: Dataset,
    url: str | None = None,
    lost: timedelta = LOST,
    training: Sequence[str] = (),
) -> list[str]:
    """Deploy ``prefect.yaml`` for a dataset, with its pools and automations; the names of the deployments.

    Args:
        url: of the server's API; ``None`` for the one in the environment.
        lost: silence after which a run is taken for dead; runs tell that they live every 30 s.
        training: overrides of the scheduled training, beside those in ``prefect.yaml``.

    Raises:
        ConfigError: no server. ToolError: it refuses, or does not answer.
    """
    with server(url) as prefect:
        for name, description in POOLS.items():
            _pool(prefect, name, description)
        turns.make(prefect, dataset.name)
        _declared(settings, dataset, str(PREFECT_API_URL.value()))
        ids = {name: _id(prefect, f"{name}/{dataset.name}") for name in ("forecasting", "monitoring", "training")}
        if training:
            told = prefect.read_deployment(ids["training"]).parameters
            more = {"overrides": [*told["overrides"], *training]}
            prefect.update_deployment(ids["training"], DeploymentUpdate(parameters={**told, **more}))
        for automation in automations(dataset.name, ids["training"], _id(prefect, "notifying/failures"), lost):
            _automation(prefect, automation)
        return sorted(
            f"{prefect.read_flow(one.flow_id).name}/{one.name}"
            for one in deployments(prefect)
            if one.name in (dataset.name, "failures")
        )


def deployments(prefect: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    """All of them; the server gives so many at once."""
    at = 0
    while some := prefect.read_deployments(limit=PAGE, offset=at):
        yield from some
        at += PAGE


def automations(dataset: str, training: UUID, notifying: UUID, lost: timedelta = LOST) -> list[AutomationCore]:
    """Dead runs are marked as crashed, failures told, and an alarm asks the retrain rule."""
    alive, ended = "prefect.flow-run.heartbeat", ("Completed", "Failed", "Cancelled", "Crashed", SUPERSEDED)
    any_run = {"prefect.resource.id": "prefect.flow-run.*"}
    ours = {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}
    return [
        AutomationCore(
            name="daycast: a run without a heartbeat has crashed",
            description="Its machine or process died, so it can't say so itself.",
            trigger=EventTrigger(
                after={alive, "prefect.flow-run.Running"},  # it may die before its first heartbeat
                expect={alive, *(f"prefect.flow-run.{state}" for state in ended)},
                match=ResourceSpecification(any_run),  # of ours alone, runs that completed were taken for lost
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=lost,
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED,
                    message="no heartbeat: its process or machine is gone. The next run finishes the work.",
                )
            ],
        ),
        AutomationCore(
            name="daycast: tell of a run that failed or crashed",
            trigger=EventTrigger(
                expect={f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")},
                match=ResourceSpecification(any_run),
                match_related=ResourceSpecification(ours),
                for_each={"prefect.resource.id"},
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[RunDeployment(deployment_id=notifying, parameters={"flow_run": "{{ event.resource.id }}"})],
        ),
        AutomationCore(
            name=f"daycast: train {dataset} on alarm",
            trigger=EventTrigger(
                expect={ALARM},
                match=ResourceSpecification({"prefect.resource.id": resource(dataset)}),
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[RunDeployment(deployment_id=training, parameters={"by_rule": True})],
        ),
    ]


def _pool(prefect: SyncPrefectClient, name: str, description: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=name, type="process", description=description, base_job_template=template)
    try:
        prefect.create_work_pool(pool)  # type: ignore[arg-type]
    except ObjectAlreadyExists:
        return  # as it is, perhaps of another type: its owner's choice


def _declared(settings: Settings, dataset: Dataset, url: str) -> None:
    file = settings.root / "prefect.yaml"
    named = {"DAYCAST_DATASET": dataset.name, "DAYCAST_TIMEZONE": dataset.timezone}
    # Left for each worker to fill in: here it would name this machine's clone for all of them.
    told = {name: value for name, value in os.environ.items() if name != "DAYCAST_ROOT"} | named
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(
        command,
        env={**told, "PREFECT_API_URL": url, "NO_COLOR": "1", "COLUMNS": "200"},
        cwd=settings.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-12:]
        raise ToolError(f"Prefect to deploy {file}", "\n".join(said), "mend what it names, then deploy again")


def _id(prefect: SyncPrefectClient, name: str) -> UUID:
    try:
        return prefect.read_deployment_by_name(name).id
    except ObjectNotFound as error:
        raise ToolError(f"a deployment {name} in prefect.yaml", "none", "put it back, then deploy again") from error


def _automation(prefect: SyncPrefectClient, wanted: AutomationCore) -> None:
    before: list[Automation] = prefect.read_automations_by_name(wanted.name)
    if before:
        prefect.update_automation(before[0].id, wanted)
    else:
        prefect.create_automation(wanted)
