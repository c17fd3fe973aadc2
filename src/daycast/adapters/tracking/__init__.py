"""Runs in MLflow: opened under a content key, recorded once, looked up again.

Only ``MlflowClient`` is used, never MLflow's active run, experiment or URI, so threads and pipelines don't disturb each
other. Every write may be repeated: a run is found again by its key, and what it holds already is not logged twice.
"""

from daycast.adapters.tracking.experiments import KEY, NOTE, Tracking
from daycast.adapters.tracking.lookup import Run, children, find, finished, known, latest, link, points, text
from daycast.adapters.tracking.results import Results, Trial
from daycast.adapters.tracking.runs import child, close_run, describe, open_run, put, record, tag, trials, use_data
from daycast.adapters.tracking.server import SERVER_ENVIRONMENT, serve_ui, server_command

__all__ = [
    "KEY",
    "NOTE",
    "SERVER_ENVIRONMENT",
    "Results",
    "Run",
    "Tracking",
    "Trial",
    "child",
    "children",
    "close_run",
    "describe",
    "find",
    "finished",
    "known",
    "latest",
    "link",
    "open_run",
    "points",
    "put",
    "record",
    "serve_ui",
    "server_command",
    "tag",
    "text",
    "trials",
    "use_data",
]
