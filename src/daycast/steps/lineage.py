"""lineage: what a forecast, a run or a model version came from, link by link, down to the bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from daycast.adapters import registry, store, tracking
from daycast.core.chain import Link
from daycast.errors import ConfigError, DataError, PromotionError
from daycast.settings import Settings
from daycast.steps import origins, recorded
from daycast.steps.record import tracker

RUN = re.compile(r"[0-9a-f]{32}")
NAME = r"(?P<name>[^/@\s'\"`]+)"  # MLflow's search has no way to ask for a name with quotes
NUMBER = re.compile(rf"(?:models:/)?(?:{NAME}/)?(?P<number>\d+)")
ALIAS = re.compile(rf"(?:models:/)?{NAME}?@(?P<alias>[A-Za-z][\w-]*)")
ROW = re.compile(r"forecast(?:/(?P<row>\d+))?")
VALUE = re.compile(r"(?P<series>.+)@(?P<ds>\d{4}-\d{2}-\d{2}(?:T[\d:]+)?)")
DIGITS = 18  # of a row's id: the store has none that is longer, and takes none
FORMS = (
    "a run's id (32 hex digits), a version (7, daycast-cta/7, @champion), `forecast` for the newest one, forecast/ID "
    "of a row, or SERIES@TIME such as rail@2021-12-05"
)


@dataclass(frozen=True)
class Asked:
    """Of what the lineage is asked for.

    Attributes:
        dataset: where ``what`` does not name one.
        what: in one of ``FORMS``.
        cutoff: of a forecast ``SERIES@TIME``; ``None`` for the latest.
    """

    dataset: str
    what: str
    cutoff: date | None = None


def lineage(settings: Settings, asked: Asked) -> Link:
    """The chain from what was asked for down to bytes; a link that can't be had any more says why.

    Raises:
        ConfigError: ``what`` is none of the forms, or has no cutoff to pick, or there is no such run.
        DataError: there is no such forecast.
        PromotionError: there is no such version.
        ToolError: MLflow, the store or DVC can't be reached.
    """
    what = asked.what
    if asked.cutoff is not None and not VALUE.fullmatch(what):
        raise ConfigError(
            "--cutoff with SERIES@TIME, of which it picks one origin's forecast",
            f"`{what}` with --cutoff {asked.cutoff}",
            "leave --cutoff out, or name series and time, such as rail@2021-12-05",
        )
    if RUN.fullmatch(what):
        return _run(settings, what, recorded.run(settings, what).tags)
    if (found := ROW.fullmatch(what)) or (found := VALUE.fullmatch(what)):
        return _forecast(settings, *_row(settings, asked, found.groupdict()))
    if found := (NUMBER.fullmatch(what) or ALIAS.fullmatch(what)):
        told = found.groupdict()
        name = told["name"] or registry.model_name(asked.dataset)
        return _asked_version(settings, asked, name, told.get("number"), told.get("alias"))
    raise ConfigError(FORMS, f"`{what}`", "ask for one of these; `daycast lineage --help` has examples")


def _asked_version(settings: Settings, asked: Asked, name: str, number: str | None, alias: str | None) -> Link:
    there = registry.versions(settings.tracking_uri, name)
    found = next((v for v in there if v.number == number or alias in v.aliases), None)
    if found is None:
        aliases = sorted(f"@{a}" for v in there for a in v.aliases)
        told = f"versions {', '.join([*(v.number for v in reversed(there)), *aliases])}"
        none = f"no model {name}" if alias is None else f"no model {name}, and `{alias}` is no time of a forecast"
        own = name == registry.model_name(asked.dataset) and not there
        first = f"; `daycast run dataset={asked.dataset}` registers the first version" if own else ""
        raise PromotionError(
            f"version {number} of {name}" if alias is None else f"a version of {name} with the alias `{alias}`",
            told if there else none,
            f"name one that exists: {FORMS}{first}",
        )
    if "daycast.run_id" not in found.tags:
        return _foreign(settings, name, found)
    return _version(settings, name, found.number, found.tags)


def _row(settings: Settings, asked: Asked, told: Mapping[str, str | None]) -> tuple[dict[str, Any], int]:
    """The row that was asked for, and how many others forecast the same value."""
    with store.opened(settings.store_url) as engine:
        if told.get("row"):
            number = (told["row"] or "").lstrip("0")
            row, others = store.forecast_by_id(engine, int(number or 0)) if len(number) <= DIGITS else None, 0
        elif series := told.get("series"):
            try:
                ds = datetime.fromisoformat(told["ds"] or "")
            except ValueError as error:
                raise ConfigError("a time as ISO 8601 has it", str(told["ds"]), "write it as 2021-12-05") from error
            cutoff = None if asked.cutoff is None else datetime.combine(asked.cutoff, datetime.min.time())
            rows = store.find_forecasts(engine, asked.dataset, series, ds, cutoff)
            row, others = (rows[0] if rows else None), max(0, len(rows) - 1)
        else:
            row, others = store.newest_forecast(engine, asked.dataset), 0
    if row is None:
        since = "" if asked.cutoff is None else f" after {asked.cutoff}"
        raise DataError(
            f"a forecast {asked.what}{since} of {asked.dataset} in the store",
            "none",
            f"check series and time, or make it: `daycast forecast dataset={asked.dataset}`",
        )
    return row, others


def _forecast(settings: Settings, row: Mapping[str, Any], others: int) -> Link:
    made = row["made_at"] if row["made_at"].tzinfo else row["made_at"].replace(tzinfo=UTC)
    facts = {
        "id": row["id"],
        "dataset": row["dataset"],
        "unique_id": row["unique_id"],
        "ds": row["ds"].isoformat(),
        "cutoff": row["cutoff"].isoformat(),
        "step": row["step"],
        "y_hat": row["y_hat"],
        "quantiles": row["quantiles"],
        "made_at": made.astimezone(UTC).isoformat(timespec="seconds"),
    }
    facts |= {"others": f"{others} more of the same value, by other versions or origins"} if others else {}
    name = f"{row['unique_id']} at {row['ds'].date()}, step {row['step']} after {row['cutoff'].date()}"
    tags = {f"daycast.{field}": row[field] for field in ("data_version", "git_commit", "config_hash", "run_id")}
    version = _version(
        settings,
        registry.model_name(row["dataset"]),
        row["model_version"],
        {**tags, "daycast.model": row["model"], "daycast.dataset": row["dataset"]},
    )
    links = (
        version,
        origins.code(settings, row["git_commit"], "the forecast"),
        origins.data(settings, row["dataset"], row["data_version"], None, "forecast from"),
    )
    return Link("forecast", name, facts, None, links)


def _version(settings: Settings, name: str, number: str, told: Mapping[str, str]) -> Link:
    """A version of which tags are ``told``, by itself or by a forecast of it."""
    if not number.isdigit():  # a last resort that nothing has to be registered for
        link = Link("configuration", told["daycast.config_hash"], {"hash": told["daycast.config_hash"]})
        return Link("version", f"none: {told['daycast.model']}, which needs no training", {}, None, (link,))
    found = registry.find(settings.tracking_uri, name, number)
    here = {} if found is None else found.tags
    logged_by = told["daycast.run_id"]
    missing = None if found else f"version {number} of {name} is not in the registry any more"
    if found and here.get("daycast.run_id") != told["daycast.run_id"]:
        missing = f"the registry's version {number} is of run {here.get('daycast.run_id')}: it is another registry now"
    elif found:
        missing, logged_by = registry.lost(settings.tracking_uri, name, number), found.run_id
    facts = {"model": told["daycast.model"], "version": number, "registered_model": name}
    facts |= {"aliases": list(found.aliases), "model_run": found.run_id} if found else {}
    facts |= {tag.removeprefix("daycast."): here[tag] for tag in origins.OF_VERSION if tag in here}
    dataset = {"daycast.dataset": name.removeprefix("daycast-")}
    run = _run(settings, logged_by, {**dataset, **told})
    return Link("version", f"{name}/{number}: {told['daycast.model']}", facts, missing, (run,))


def _foreign(settings: Settings, name: str, found: registry.Version) -> Link:
    """A version that somebody registered by hand: what MLflow knows of it."""
    facts = {"version": found.number, "registered_model": name, "aliases": list(found.aliases)}
    run = (_run(settings, found.run_id, {}),) if found.run_id else ()
    facts |= {"model_run": found.run_id} if found.run_id else {}
    why = "daycast did not make this version, and nothing on it says what it came from"
    return Link("version", f"{name}/{found.number}", facts, why, run)


def _run(settings: Settings, run_id: str, told: Mapping[str, str]) -> Link:
    """A run of which lineage tags are ``told``, by itself or by what came of it; that of a model leads to its parent's.

    What is told stays known, and is followed, if the run is gone.
    """
    run = tracking.known(tracker(settings), run_id)
    above, name = told.get("daycast.run_id", run_id), run_id if run is None else run.name
    missing = f"no run {run_id} in MLflow at {settings.tracking_uri}" if run is None else None
    if run is not None and run.deleted:
        missing = f"it is in MLflow's bin: `mlflow runs restore --run-id {run_id}` brings it back"
    facts = {"run_id": run_id}
    if above != run_id:
        facts |= {"model": told.get("daycast.model")} | ({} if run is None else {"status": run.status})
        parent = tracking.known(tracker(settings), above)
        return Link("run", name, facts, missing, (_run(settings, above, parent.tags if parent else told),))
    if run is not None:
        began = datetime.fromtimestamp(run.started / 1000, UTC).isoformat(timespec="seconds")
        facts |= {"status": run.status, "started": began}
        if (link := tracking.link(tracker(settings), run_id)) is not None:
            facts["link"] = link
        told = {**told, **run.tags}
    return Link("run", name, facts, missing, origins.of_run(settings, run, told))
