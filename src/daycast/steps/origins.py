"""What a run came from: its configuration, its code, and the bytes of its data, as far as they can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yaml import YAMLError, safe_load

from daycast.adapters import store, tracking, versioning
from daycast.config import UNUSED
from daycast.core import content
from daycast.core.chain import Link
from daycast.errors import DataError, MissingError, ToolError
from daycast.settings import Settings
from daycast.steps import machine, recorded
from daycast.steps.card import VERDICT
from daycast.steps.champion import SERVED
from daycast.steps.data import in_force
from daycast.steps.record import tracker
from daycast.steps.register import DATA_UNTIL, SCORED_FROM

OF_VERSION = (DATA_UNTIL, SCORED_FROM, "daycast.horizon", "daycast.backtest", VERDICT, SERVED)  # tags worth telling
PLACES = {versioning.HERE: "in DVC's cache", versioning.REMOTE: "in the remote, not here"}


def of_run(settings: Settings, run: tracking.Run | None, told: Mapping[str, str]) -> tuple[Link, ...]:
    """Configuration, code and data of a pipeline run; of one that is gone (``None``), what its tags told others."""
    dataset, version = told.get("daycast.dataset"), told.get("daycast.data_version")
    links = [_configuration(settings, run, told.get("daycast.config_hash"))]
    if commit := told.get("daycast.git_commit"):
        links.append(code(settings, commit, "the run", told))
    if dataset and version:
        links.append(data(settings, dataset, version, told.get("daycast.as_of"), "trained on", run and run.run_id))
    else:
        links.append(Link("data", "unknown", {}, "nothing says what data it is of"))
    return tuple(links)


def _configuration(settings: Settings, run: tracking.Run | None, hashed: str | None) -> Link:
    name = hashed or "unknown"
    if run is None:
        return Link("configuration", name, {"hash": hashed}, "its file was an artifact of the run")
    try:
        text = recorded.configuration(settings, run.run_id)
    except MissingError:
        return Link("configuration", name, {"hash": hashed}, f"the run has no artifact {recorded.CONFIG}")
    facts: dict[str, Any] = {"hash": hashed, "file": f"{run.artifacts}/{recorded.CONFIG}"}
    try:
        values = dict(safe_load(text))
    except (YAMLError, TypeError, ValueError):
        return Link("configuration", name, facts, f"{recorded.CONFIG} can't be read")
    facts["resolved"] = values
    found = content.key({section: told for section, told in values.items() if section not in UNUSED})
    missing = None if found == hashed else f"{recorded.CONFIG} was changed: its hash is {found}"
    return Link("configuration", name, facts, missing)


def code(settings: Settings, commit: str, whose: str, told: Mapping[str, str] | None = None) -> Link:
    """The commit of the code, and whether it is known in this clone."""
    dirty = commit.endswith("-dirty")
    facts: dict[str, Any] = {"commit": commit, "whose": whose, "dirty": dirty}
    if dirty:
        facts["note"] = "files differed from the commit, and nobody kept them"
    if (digest := (told or {}).get("daycast.code")) is not None:
        facts["same_as_installed"] = digest == machine.tags()["daycast.code"]
    here = versioning.known(settings.root, commit)
    facts["known_here"] = here
    missing = None if here is not False else "no such commit in this clone: `git fetch` may bring it"
    return Link("code", commit, facts, missing if commit != "unknown" else "nobody knew the commit")


def data(
    settings: Settings, dataset: str, version: str, as_of: str | None, why: str, run_id: str | None = None
) -> Link:
    """A version of the data and every file of it, from the source's bytes to the canonical frame, and where it is."""
    facts: dict[str, Any] = {"dataset": dataset, "version": version, "why": why}
    facts |= {} if as_of is None else {"as_of": as_of}
    pointers = _pointers(settings, dataset, version, run_id)
    prepared = f"data/prepared/{dataset}.parquet"
    wanted, missing = {prepared: version}, None
    if pointers is None:
        missing = "nothing that is kept says from what raw files it was made"
    else:
        facts["pointers"] = pointers
        wanted = {**versioning.files(pointers), prepared: version}
    found = versioning.whereabouts(settings.root, wanted)
    links = (Link("file", f.path, {"md5": f.md5, "where": f.where and PLACES[f.where]}, f.why or None) for f in found)
    return Link("data", f"{dataset} {version}", facts, missing, tuple(links))


def _pointers(settings: Settings, dataset: str, version: str, run_id: str | None) -> Mapping[str, str] | None:
    """What brings all files of a version back: as the run keeps it, the store, the workspace, or another run."""
    if run_id is not None:
        try:
            return recorded.pointers(settings, run_id)
        except MissingError:  # it ended before it had recorded them
            pass
    with store.opened(settings.store_url) as engine:
        kept = store.kept_data(engine, dataset, version)
    if kept:
        return kept
    try:
        now = in_force(settings, dataset)
    except (DataError, ToolError):
        pass
    else:
        if now.version == version:
            return now.pointers
    other = tracking.latest(tracker(settings), dataset, {"daycast.data_version": version, **recorded.COMPLETE})
    return None if other is None else recorded.pointers(settings, other.run_id)
