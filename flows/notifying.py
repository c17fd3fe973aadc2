"""Telling people of a run that failed or crashed: why, where to look, what to run."""

from __future__ import annotations

import logging
import shlex
from typing import Any
from uuid import UUID

from prefect import State, flow, get_run_logger, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import LogSort
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
        if run.parent_task_run_id is not None:
            return Completed(message="the run that it is a part of is told of")
        name = prefect.read_flow(run.flow_id).name
        log = said(prefect, run)
    notice = of(run, name, log)
    get_run_logger().error("%s\n%s", notice.title, notice.text())
    if not configured():
        return Completed(message="told to the log alone: DAYCAST_NOTIFY_URLS names no place")
    return send(notice)


def said(prefect: SyncPrefectClient, run: FlowRun) -> str:
    """The end of what a run's log has of errors, if it ended before its flow began: its state knows no cause then."""
    if run.run_count:
        return ""
    lines = prefect.read_logs(
        LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]), level=LogFilterLevel(ge_=logging.ERROR)),
        limit=1,
        sort=LogSort.TIMESTAMP_DESC,
    )
    return "\n".join(line.message.strip()[-MOST // 2 :] for line in lines)


def named(run: FlowRun, flow_name: str) -> str:
    """A run's name; of one that has not begun, which has a random one, its flow and dataset."""
    return str(run.name) if run.run_count else f"{flow_name} {run.parameters.get('dataset', '')}".strip()


def of(run: FlowRun, flow_name: str, log: str = "") -> Notice:
    """What to tell of a run of one of our flows; ``log`` is told with its cause."""
    state = run.state
    how = state.name.lower() if state and state.name else "ended"
    cause = "\n".join(filter(None, [state.message if state else None, log])) or "no reason was given"
    page = PREFECT_UI_URL.value()
    link = f"{page.rstrip('/')}/runs/flow-run/{run.id}" if page else None
    return Notice(f"daycast: {named(run, flow_name)} {how}", cause[:MOST], link, command(flow_name, run.parameters))


def command(flow_name: str, parameters: dict[str, Any]) -> str:
    """What does the same by hand; it goes on where the run stopped."""
    dataset = f"dataset={parameters.get('dataset')}"
    options = {"as_of": "--as-of", "horizon": "--horizon", "first": "--from", "last": "--to"}
    options |= {"max_parallel": "--max-parallel"}
    if flow_name in ("training", "modelling"):
        words = ["run", *parameters.get("overrides", [])]
        options = {"as_of": "--as-of"}  # its `last` is the last step
    elif flow_name == "backfill":
        words = ["backfill", dataset]
    elif flow_name == "monitoring":
        words = ["monitor", dataset]
    elif flow_name == "forecasting":
        words = ["forecast", dataset]
    else:
        return "daycast status"
    asks = parameters.get("fetch", flow_name in ("forecasting", "monitoring"))  # as these flows do by default
    given = [(option, parameters[name]) for name, option in options.items() if parameters.get(name) is not None]
    words += [str(word) for pair in given for word in pair]
    return shlex.join(["daycast", *words, *(["--fetch"] if asks else [])])
