"""Which version forecasts, which did when and why, and the way back."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core import history
from daycast.errors import DaycastError, PromotionError
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import arrays, in_force
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL

CHAMPION = "champion"  # alias


@dataclass(frozen=True)
class Why:
    """What moves a champion.

    Attributes:
        kind: as ``store.Move`` has it.
        run_id: the training run that made the version moved to.
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
        PromotionError: there is another champion by now.
    """
    name = registry.model_name(dataset)
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
        if turn.newest == number == to:
            return
        before = turn.newest if number == to else number
        turn.append(store.Move(why.kind, why.run_id, before, to, why.decision, actor(), why.reason))
        registry.set_alias(settings.tracking_uri, name, CHAMPION, to)


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


def told(settings: Settings, dataset: Dataset, day: date | None) -> dict[str, Any]:
    """The champion, at the end of a day in the dataset's time zone or now, and the move that led to it.

    Raises:
        PromotionError: there was none yet, or is none.
    """
    found = moves(settings, dataset.name)
    if day is not None:
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
    if of is not None:
        facts |= {"model": of.tags["daycast.model"], "run_id": of.run_id, "data_until": of.tags.get(DATA_UNTIL)}
    if led.empty or (day is None and found["to_version"].iloc[-1] != number):
        return {**facts, "since": None, "note": "the alias was moved by other means: the history does not tell of it"}
    line = led.iloc[0]
    since = line["decided_at"].tz_convert(dataset.timezone).isoformat(timespec="seconds")
    why = {name: line[name] for name in ("kind", "actor", "reason", "from_version", "decision")}
    return {**facts, "since": since, **why}


def rollback(
    settings: Settings, dataset: Dataset, to: str | None, reason: str, *, dry_run: bool, data: DataRef | None = None
) -> tuple[str, str]:
    """Go back to a former champion that still loads and forecasts; from which version to which.

    Args:
        to: number of the version; ``None`` for the champion before this one. Doing that again goes further back.
        data: what it has to forecast from; ``None`` for the data in force.

    Raises:
        PromotionError: there is no champion, none before it, no such version, or it does not forecast any more.
    """
    name = registry.model_name(dataset.name)
    now = registry.required(settings.tracking_uri, name, CHAMPION)
    lines = moves(settings, dataset.name)
    led = lines["to_version"].iloc[-1] if len(lines) else now.number
    target = to if to is not None else history.before(lines, led)
    if target is None:
        raise PromotionError(
            f"a champion of {dataset.name} before version {now.number}",
            "the history has none",
            f"name a version: `daycast rollback dataset={dataset.name} --to VERSION`",
        )
    version = registry.find(settings.tracking_uri, name, target)
    if version is None:
        raise PromotionError(
            f"version {target} of {name}", "there is none, or not any more", "name another one with --to"
        )
    if version.number == now.number == led:  # else one was killed between the alias and its line, which is added
        raise PromotionError(
            f"another version than the champion of {dataset.name}", target, "name another one with --to"
        )
    _require_forecast(settings, dataset, data or in_force(settings, dataset.name), target)
    if not dry_run:
        why = Why("rollback", version.tags["daycast.run_id"], reason)
        move(settings, dataset.name, target, why, now.number)
    return now.number, target


def _require_forecast(settings: Settings, dataset: Dataset, data: DataRef, number: str) -> None:
    """Raise ``PromotionError`` unless a version loads, and forecasts from the data within its contract."""
    try:
        loaded = registry.load(settings.tracking_uri, registry.model_name(dataset.name), number)
        served = serving.of_version(loaded.folder)
        known = arrays(settings, served.spec, data)
        steps = int(loaded.version.tags["daycast.horizon"])
        core.check(serving.from_table(served, known, steps), len(known.panel.ids) * steps, dataset.floor)
    except DaycastError as error:
        raise PromotionError(
            f"version {number} to load, and to forecast from the data in force",
            f"{error.expected}; found: {error.found}",
            f"go back to another one: `daycast history dataset={dataset.name}`, then --to VERSION",
        ) from error
