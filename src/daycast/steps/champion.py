"""Which version forecasts, and which did when and why."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core import history
from daycast.errors import ConfigError, DaycastError, PromotionError, ToolError, unanswered
from daycast.settings import Settings
from daycast.steps import card, serving
from daycast.steps.data import arrays, in_force
from daycast.steps.reference import DataRef

CHAMPION = "champion"  # alias
RUN = "daycast.run_id"  # tag of a version: the training run that made it
MODEL, HORIZON = "daycast.model", "daycast.horizon"  # tags of every version that daycast made
SERVED = "daycast.served"  # tag of a version: when it was champion
MOVED = "daycast.moved"  # tag of a version: the move that made it champion, set before it is made
REASON = 2000  # characters of a reason that the tag holds
MINUTES = "%Y-%m-%d %H:%M"
OUTSIDE = "outside"  # kind of a move that somebody else than daycast made
# What files or tags that daycast did not write may raise; a want of memory is none of these, and says nothing of them.
FAULTS = (LookupError, TypeError, ValueError, AttributeError, ImportError, FileNotFoundError)


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
    without its line, which ``settle`` adds, from the version's tag.

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
    left = unfinished(settings, dataset)
    if left is not None and (left.kind, why.kind, left.to_version) != (OUTSIDE, "override", to):
        settle(settings, dataset)  # a move by other means to where it goes by hand now gets this one's reason
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
        before = lines["from_version"].iloc[-1] if done else _left(lines, versions)
        if not done:
            moved = store.Move(why.kind, why.run_id, before, to, why.decision, actor(), why.reason)
            # Evidence is too long for a tag; that of the gate is in the run that it judged.
            evidence = {name: why.decision[name] for name in ("judged_run",) if name in why.decision}
            begun = {**asdict(moved), "decision": evidence, "reason": why.reason[:REASON], "number": len(lines) + 1}
            registry.tag(settings.tracking_uri, name, to, {MOVED: json.dumps(begun)})
            turn.append(moved)
            registry.set_alias(settings.tracking_uri, name, CHAMPION, to)
    with suppress(ToolError):  # it has moved: to fail now would make people do it again, and go further
        _tell(settings, dataset, (before, to))


def settle(settings: Settings, dataset: str) -> store.Move | None:
    """Write down the move that the history lacks, as ``unfinished`` tells it; what it was, ``None`` if there was none.

    Raises:
        ToolError: store or registry do not answer.
    """
    if unfinished(settings, dataset) is None:
        return None
    with store.opened(settings.store_url) as engine, store.moving(engine, dataset) as turn:
        left = unfinished(settings, dataset)  # nobody else has done it meanwhile
        if left is not None:
            turn.append(left)
    if left is not None:
        _tell(settings, dataset, (left.from_version, left.to_version))
    return left


def unfinished(settings: Settings, dataset: str) -> store.Move | None:
    """The move that the history lacks: one that a kill cut off between alias and line, or one by other means.

    What a killed one was stands on its version; of an alias that somebody set in MLflow there is no such tag.
    """
    name, lines = registry.model_name(dataset), moves(settings, dataset)  # the alias after them: no move comes between
    now = registry.by_alias(settings.tracking_uri, name, CHAMPION)
    if now is None:
        return None
    begun = json.loads(now.tags.get(MOVED, "{}"))
    if begun and begun.pop("number") == len(lines) + 1:
        return store.Move(**begun)
    if len(lines) and lines["to_version"].iloc[-1] == now.number:
        return None
    before = _left(lines, registry.versions(settings.tracking_uri, name))
    reason = "the alias was moved by other means than daycast, and noticed now"
    return store.Move(OUTSIDE, now.tags.get(RUN, ""), before, now.number, {}, "unknown", reason)


def whole(settings: Settings, dataset: str) -> pd.DataFrame:
    """The history as ``moves`` has it, with the move that it lacks, if it lacks one."""
    left, lines = unfinished(settings, dataset), moves(settings, dataset)
    return lines if left is None else pd.concat([lines, pd.DataFrame([asdict(left)])], ignore_index=True)


def _left(lines: pd.DataFrame, versions: Iterable[registry.Version]) -> str | None:
    """The champion by the last line, also if the alias is gone; ``None`` if its version is."""
    last = present(lines.tail(1), versions)
    return None if last.empty else str(last["to_version"].iloc[0])


def _tell(settings: Settings, dataset: str, numbers: Iterable[str | None]) -> None:
    """Let cards and tags of versions tell when they were champion and why, beside the alias that only one has."""
    name, lines = registry.model_name(dataset), moves(settings, dataset)
    for number in filter(None, numbers):
        spells = history.served(lines, number)
        times = [[f"{when.strftime(MINUTES)} UTC" if when is not None else "now" for when in s] for s in spells]
        tags = {SERVED: ", ".join(" .. ".join(spell) for spell in times)}
        with suppress(ToolError):  # the run of one may be deleted, which is no reason to leave the other out
            version = registry.find(settings.tracking_uri, name, number)
            if version is not None:
                card.moved(settings, version, history.told(lines, number, MINUTES), tags)


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
    """Of a history, the moves in this registry: numbers start anew in another one. Versions may be gone."""
    made = {v.number: v.tags.get(RUN, "") for v in versions}
    of = lines["to_version"].map(made)
    begun = (of == lines["run_id"]).cummax()
    return lines[begun & (of.isna() | (of == lines["run_id"]))]


def require_forecast(settings: Settings, dataset: Dataset, number: str, data: DataRef | None = None) -> None:
    """Raise ``PromotionError`` unless a version loads, and forecasts from the data (in force) within its contract."""
    try:
        loaded = registry.load(settings.tracking_uri, registry.model_name(dataset.name), number)
        lacking = sorted({RUN, MODEL, HORIZON} - loaded.version.tags.keys())
        if lacking:
            told = f"version {number} without {', '.join(lacking)}, as put there by hand"
            raise PromotionError("a version with the tags that daycast gives", told, "take another one")
        served = serving.of_version(loaded.folder)
        known = arrays(settings, served.spec, data or in_force(settings, dataset.name))
        steps = int(loaded.version.tags[HORIZON])
        core.check(serving.from_table(served, known, steps), len(known.panel.ids) * steps, dataset.floor)
    except DaycastError as error:
        raise PromotionError(
            f"version {number} to load, and to forecast from the data in force",
            f"{error.expected}; found: {error.found}",
            f"take another one: `daycast history dataset={dataset.name}` and the registry have them",
        ) from error


def failing(settings: Settings, dataset: Dataset, number: str, data: DataRef) -> str | None:
    """Why a version does not forecast from the data any more; ``None`` if it does.

    Raises:
        ToolError: MLflow does not answer, which says nothing of the version.
    """
    try:
        require_forecast(settings, dataset, number, data)
    except PromotionError as error:
        if error.__cause__ is not None and unanswered(error.__cause__):
            raise error.__cause__ from error
        return error.found
    except FAULTS as error:
        return f"{type(error).__name__}: {error}"
    return None
