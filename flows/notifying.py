"""Telling people of a run that failed or crashed: why, where to look, what to run."""

from __future__ import annotations

import shlex
from typing import Any
from uuid import UUID

from prefect import State, flow, get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_UI_URL
from prefect.states import Completed

from daycast.adapters.notices import Notice, configured, tell
from flows import tasks

MOST = 2000  # characters of a cause


@task(task_run_name="tell of {notice.title}", timeout_seconds=tasks.HOUR, **tasks.RETRIED)
def send(notice: Notice) -> int:
    return tell(notice)


@flow(name="notifying", flow_run_name="notifying")
def notifying(flow_run: str) -> int | State[Any]:
    """Tell every configured place of a run that did not end well, and the log in any case.

    Args:
        flow_run: its id, or the name that Prefect's events give it, ``prefect.flow-run.ID``.
    """
    with get_client(sync_client=True) as prefect:
        run = prefect.read_flow_run(UUID(flow_run.removeprefix("prefect.flow-run.")))
        name = prefect.read_flow(run.flow_id).name
    if run.parent_task_run_id is not None:
        return Completed(message="the run that it is a part of is told of")
    notice = of(run, name)
    get_run_logger().error("%s\n%s", notice.title, notice.text())
    if not configured():
        return Completed(message="told to the log alone: DAYCAST_NOTIFY_URLS names no place")
    return send(notice)


def of(run: FlowRun, flow_name: str) -> Notice:
    """What to tell of a run of one of our flows."""
    state = run.state
    how = state.name.lower() if state and state.name else "ended"
    cause = (state.message if state else None) or "no reason was given"
    page = PREFECT_UI_URL.value()
    link = f"{page.rstrip('/')}/runs/flow-run/{run.id}" if page else None
    return Notice(f"daycast: {run.name} {how}", cause[:MOST], link, command(flow_name, run.parameters))


def command(flow_name: str, parameters: dict[str, Any]) -> str:
    """What does the same by hand; it goes on where the run stopped."""
    dataset = f"dataset={parameters.get('dataset')}"
    if flow_name in ("training", "modelling"):
        return shlex.join(["daycast", "run", *parameters.get("overrides", [])])
    if flow_name == "backfill":
        words = ["--from", str(parameters.get("first")), "--to", str(parameters.get("last"))]
        return shlex.join(["daycast", "backfill", dataset, *words])
    if flow_name == "monitoring":
        return f"daycast monitor {dataset} --fetch"
    return f"daycast forecast {dataset} --fetch"
