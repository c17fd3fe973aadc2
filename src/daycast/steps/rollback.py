"""The way back to a former champion."""

from __future__ import annotations

from contextlib import suppress

from daycast.adapters import registry
from daycast.config import Dataset
from daycast.core import history
from daycast.errors import PromotionError, ToolError
from daycast.settings import Settings
from daycast.steps.champion import CHAMPION, RUN, Why, horizon, move, present, settle, unfinished, whole
from daycast.steps.reference import DataRef
from daycast.steps.shelf import require_forecast


def shorter(before: registry.Version, after: registry.Version) -> str | None:
    """That one version forecasts less far than the other, by their tags; ``None`` if it does not, or none says so."""
    then, now = horizon(before.tags), horizon(after.tags)
    if then is None or now is None or now >= then:
        return None
    return f"version {after.number} forecasts {now} steps ahead, version {before.number} {then}"


def warning(settings: Settings, dataset: str, before: str | None, after: str) -> str | None:
    """What people should know of going from one version to another; ``None`` without anything."""
    name, told = registry.model_name(dataset), None
    with suppress(ToolError):  # it has gone there: to fail now would make people do it again, and go further
        then, now = (number and registry.find(settings.tracking_uri, name, number) for number in (before, after))
        told = then and now and shorter(then, now)
    return told and f"{told}: the days after those are not forecast any more"


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
    lines, there = present(whole(settings, dataset.name), versions), {v.number for v in versions}
    target = to if to is not None else next((v for v in history.former(lines, now) if v in there), None)
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
    ever = {*lines["to_version"], *lines["from_version"].dropna()}
    if target not in ever:
        raise PromotionError(
            f"a former champion of {dataset.name} among {sorted(ever, key=int)}",
            f"version {target}, which never was one",
            f"insist: `daycast promote dataset={dataset.name} --version {target} --force --reason TEXT`",
        )
    if version.number == now:
        raise PromotionError(
            f"another version than the champion of {dataset.name}", target, "name another one with --to"
        )
    require_forecast(settings, dataset, target, data)
    if not dry_run:
        why = Why("rollback", version.tags[RUN], reason)
        move(settings, dataset.name, target, why, expected or now)
    return now, target
