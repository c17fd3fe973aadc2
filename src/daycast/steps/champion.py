"""Which version forecasts, which did when and why, and the way back."""

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
from daycast.errors import ConfigError, DaycastError, PromotionError, ToolError
from daycast.settings import Settings
from daycast.steps import card, serving
from daycast.steps.data import arrays, in_force
from daycast.steps.reference import DataRef

CHAMPION = "champion"  # alias
SERVED = "daycast.served"  # tag of a version: when it was champion
MOVED = "daycast.moved"  # tag of a version: the move that made it champion, set before it is made
REASON = 2000  # characters of a reason that the tag holds
MINUTES = "%Y-%m-%d %H:%M"


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
    settle(settings, dataset)
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
    """Write down the move that a kill cut off between the alias and its line; what it was, ``None`` if there was none.

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
    """As ``settle``, and nothing is changed. Of an alias that was moved by other means there is no such tag."""
    now = registry.by_alias(settings.tracking_uri, registry.model_name(dataset), CHAMPION)
    begun = json.loads(now.tags.get(MOVED, "{}")) if now is not None else {}
    lines = moves(settings, dataset)
    if not begun or begun.pop("number") != len(lines) + 1:
        return None
    return store.Move(**begun)


def _tell(settings: Settings, dataset: str, numbers: Iterable[str | None]) -> None:
    """Let cards and tags of versions tell when they were champion and why, beside the alias that only one has."""
    name, lines = registry.model_name(dataset), moves(settings, dataset)
    for number in filter(None, numbers):
        version = registry.find(settings.tracking_uri, name, number)
        if version is None:
            continue
        spells = history.served(lines, number)
        times = [[f"{when.strftime(MINUTES)} UTC" if when is not None else "now" for when in s] for s in spells]
        tags = {SERVED: ", ".join(" .. ".join(spell) for spell in times)}
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
    """Of a history, the moves to versions that are in the registry: numbers start anew in another one."""
    made = {v.number: v.tags.get("daycast.run_id") for v in versions}
    return lines[lines["to_version"].map(made) == lines["run_id"]]


def rollback(
    settings: Settings,
    dataset: Dataset,
    to: str | None,
    reason: str,
    *,
    dry_run: bool,
    data: DataRef | None = None,
    expected: str | None = None,
) -> tuple[str | None, str]:
    """Go back to a former champion that still loads and forecasts; from which version, if there is one, to which.

    Args:
        to: number of the version; ``None`` for the champion before this one. Doing that again goes further back.
        data: what it has to forecast from; ``None`` for the data in force.
        expected: the champion that the reason is about; ``None`` for the one in force.

    Raises:
        PromotionError: there never was a champion before, there is no such version, or it does not forecast any more.
    """
    name = registry.model_name(dataset.name)
    found = registry.by_alias(settings.tracking_uri, name, CHAMPION)
    now = None if found is None else found.number  # such as after its version was deleted
    left = unfinished(settings, dataset.name)
    if left is not None and not dry_run:
        settle(settings, dataset.name)
    if left is not None and left.kind == "rollback" and to in (None, left.to_version):
        return left.from_version, left.to_version  # it was this command that was killed, or another one is at it
    versions = registry.versions(settings.tracking_uri, name)
    lines = moves(settings, dataset.name)
    if left is not None and dry_run:
        lines = pd.concat([lines, pd.DataFrame([asdict(left)])], ignore_index=True)
    lines = present(lines, versions)
    target = to if to is not None else next(iter(history.former(lines, now)), None)
    if target is None:
        raise PromotionError(
            f"a champion of {dataset.name} before " + (f"version {now}" if now else "now"),
            "the history has none",
            f"put a version there by hand: `daycast promote dataset={dataset.name} --version N --force --reason TEXT`",
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
    if version.number == now:
        raise PromotionError(
            f"another version than the champion of {dataset.name}", target, "name another one with --to"
        )
    require_forecast(settings, dataset, target, data)
    if not dry_run:
        why = Why("rollback", version.tags["daycast.run_id"], reason)
        move(settings, dataset.name, target, why, expected or now)
    return now, target


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
