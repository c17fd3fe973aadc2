"""Which version forecasts, which did when and why, and the way back."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core import history
from daycast.errors import ConfigError, DaycastError, PromotionError, ToolError
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import arrays, in_force
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL

CHAMPION = "champion"  # alias
SERVED = "daycast.served"  # tag of a version: when it was champion


@dataclass(frozen=True)
class Why:
    """What moves a champion.

    Attributes:
        kind: as ``store.Move`` has it.
        run_id: the training run that made the version moved to, by its tag: so is told of which registry a number is.
        reason: in words.
        decision: the evidence, JSON-able.
    """

    kind: str
    run_id: str
    reason: str
    decision: dict[str, Any] = field(default_factory=dict)


def move(settings: Settings, dataset: str, to: str, why: Why, expected: str | None) -> None:
    """Let version ``to`` be champion, and write down who did it and why; nothing where it is so already.

    The line and the alias come in one turn, which nobody else has at the same time. A kill between them leaves an alias
    without its line, which the same command adds.

    Args:
        expected: the champion that the decision was about; ``None`` if there was none.

    Raises:
        PromotionError: there is another champion by now, or what is promoted was rolled back meanwhile.
        ConfigError: store and registry are one SQLite file, which takes one writer.
    """
    name = registry.model_name(dataset)
    if settings.store_url == settings.tracking_uri and settings.store_url.startswith("sqlite"):
        raise ConfigError(
            "a SQLite file of its own for the forecast store",
            f"MLflow's, {settings.store_url}",
            "set DAYCAST_STORE_URL to another file, or both to databases of a PostgreSQL server",
        )
    versions = registry.versions(settings.tracking_uri, name)
    with store.opened(settings.store_url) as engine, store.moving(engine, dataset) as turn:
        now = registry.by_alias(settings.tracking_uri, name, CHAMPION)
        number = None if now is None else now.number
        if number not in (expected, to):
            raise PromotionError(
                f"{'no champion' if expected is None else f'version {expected} as champion'} of {dataset}, as the "
                "decision was about",
                f"version {number}, which took its place meanwhile",
                "decide again: repeat the command",
            )
        lines = turn.moves()
        done = turn.newest == number == to
        if not done and why.kind == "promotion" and history.rolled_back(present(lines, versions), to):
            raise PromotionError(
                f"version {to}, as the gate judged it",
                "it was rolled back meanwhile",
                "decide again: repeat the command",
            )
        before = lines["from_version"].iloc[-1] if done else turn.newest if number == to else number
        if not done:
            turn.append(store.Move(why.kind, why.run_id, before, to, why.decision, actor(), why.reason))
            registry.set_alias(settings.tracking_uri, name, CHAMPION, to)
    with suppress(ToolError):  # it has moved: to fail now would make people do it again, and go further
        for version in filter(None, (before, to)):
            _tell_when(settings, dataset, version)


def _tell_when(settings: Settings, dataset: str, number: str) -> None:
    """Let a version's tag tell when it was champion, as the history has it, beside the alias that only one has."""
    name = registry.model_name(dataset)
    if registry.find(settings.tracking_uri, name, number) is None:
        return
    spells = history.served(moves(settings, dataset), number)
    times = [[f"{when:%Y-%m-%d %H:%M} UTC" if when is not None else "now" for when in spell] for spell in spells]
    registry.tag(settings.tracking_uri, name, number, {SERVED: ", ".join(" .. ".join(spell) for spell in times)})


def actor() -> str:
    """Who runs this process, as ``user@machine``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def moves(settings: Settings, dataset: str) -> pd.DataFrame:
    """The history of a dataset's champions, oldest first, as ``store.read_promotions`` has it."""
    with store.opened(settings.store_url) as engine:
        return store.read_promotions(engine, dataset)


def present(lines: pd.DataFrame, versions: Iterable[registry.Version]) -> pd.DataFrame:
    """Of a history, the moves to versions that are in the registry: numbers start anew in another one."""
    made = {v.number: v.tags.get("daycast.run_id") for v in versions}
    return lines[lines["to_version"].map(made) == lines["run_id"]]


def told(settings: Settings, dataset: Dataset, day: date | None) -> dict[str, Any]:
    """The champion, at the end of a day in the dataset's time zone or now, and the move that led to it.

    Raises:
        PromotionError: there was none yet, or is none.
        ConfigError: the day has not come.
    """
    found = moves(settings, dataset.name)
    if day is not None:
        if day > (today := pd.Timestamp.now(dataset.timezone).date()):
            raise ConfigError(f"a day up to {today}", str(day), "leave --on out for the champion in force")
        found = found[found["decided_at"].dt.tz_convert(ZoneInfo(dataset.timezone)).dt.date <= day]
        if found.empty:
            fix = f"ask for a later day: `daycast history dataset={dataset.name}`"
            raise PromotionError(f"a champion of {dataset.name} on {day}", "none up to that day", fix)
        number = found["to_version"].iloc[-1]
    else:
        name = registry.model_name(dataset.name)
        number = registry.required(settings.tracking_uri, name, CHAMPION).number
    led = found[found["to_version"] == number].tail(1)
    of = registry.find(settings.tracking_uri, registry.model_name(dataset.name), number)
    facts: dict[str, Any] = {"dataset": dataset.name, "version": number}
    if of is not None and (led.empty or not present(led, [of]).empty):
        facts |= {"model": of.tags["daycast.model"], "run_id": of.run_id, "data_until": of.tags.get(DATA_UNTIL)}
    if led.empty or (day is None and found["to_version"].iloc[-1] != number):
        return {**facts, "since": None, "note": "the alias was moved by other means: the history does not tell of it"}
    line = led.iloc[0]
    since = line["decided_at"].tz_convert(dataset.timezone).isoformat(timespec="seconds")
    why = {name: line[name] for name in ("kind", "actor", "reason", "from_version", "decision")}
    return {**facts, "since": since, **why}


def rollback(
    settings: Settings,
    dataset: Dataset,
    to: str | None,
    reason: str,
    *,
    dry_run: bool,
    data: DataRef | None = None,
    expected: str | None = None,
) -> tuple[str, str]:
    """Go back to a former champion that still loads and forecasts; from which version to which.

    Args:
        to: number of the version; ``None`` for the champion before this one. Doing that again goes further back.
        data: what it has to forecast from; ``None`` for the data in force.
        expected: the champion that the reason is about; ``None`` for the one in force.

    Raises:
        PromotionError: there is no champion, none before it, no such version, or it does not forecast any more.
    """
    name = registry.model_name(dataset.name)
    now = registry.required(settings.tracking_uri, name, CHAMPION)
    versions = registry.versions(settings.tracking_uri, name)
    lines = present(moves(settings, dataset.name), versions)
    led = lines["to_version"].iloc[-1] if len(lines) else now.number
    target = to if to is not None else history.before(lines, led)
    if target is None:
        raise PromotionError(
            f"a champion of {dataset.name} before version {now.number}",
            "the history has none",
            f"name a version: `daycast rollback dataset={dataset.name} --to VERSION`",
        )
    version = next((v for v in versions if v.number == target), None)
    if version is None:
        raise PromotionError(
            f"version {target} of {name}", "there is none, or not any more", "name another one with --to"
        )
    known = {*lines["to_version"], *lines["from_version"].dropna()}
    if target not in known:
        raise PromotionError(
            f"a former champion of {dataset.name} among {sorted(known, key=int)}",
            f"version {target}, which never was one",
            f"insist: `daycast promote dataset={dataset.name} --version {target} --force --reason TEXT`",
        )
    if version.number == now.number == led:  # else one was killed between the alias and its line, which is added
        raise PromotionError(
            f"another version than the champion of {dataset.name}", target, "name another one with --to"
        )
    require_forecast(settings, dataset, target, data)
    if not dry_run:
        why = Why("rollback", version.tags["daycast.run_id"], reason)
        move(settings, dataset.name, target, why, expected or now.number)
    return now.number, target


def require_forecast(settings: Settings, dataset: Dataset, number: str, data: DataRef | None = None) -> None:
    """Raise ``PromotionError`` unless a version loads, and forecasts from the data (in force) within its contract."""
    try:
        loaded = registry.load(settings.tracking_uri, registry.model_name(dataset.name), number)
        served = serving.of_version(loaded.folder)
        known = arrays(settings, served.spec, data or in_force(settings, dataset.name))
        steps = int(loaded.version.tags["daycast.horizon"])
        core.check(serving.from_table(served, known, steps), len(known.panel.ids) * steps, dataset.floor)
    except DaycastError as error:
        raise PromotionError(
            f"version {number} to load, and to forecast from the data in force",
            f"{error.expected}; found: {error.found}",
            f"take another one: `daycast history dataset={dataset.name}` and the registry have them",
        ) from error
