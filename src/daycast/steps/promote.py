"""Obey a recorded decision: let the alias ``champion`` name the winner, and write down that it does."""

from __future__ import annotations

import json

from daycast.adapters import registry, tracking
from daycast.core import history
from daycast.core.verdict import Decision
from daycast.errors import PromotionError, ToolError
from daycast.settings import Settings
from daycast.steps.champion import CHAMPION, Why, move, moves
from daycast.steps.record import tracker
from daycast.steps.reference import VersionRef
from daycast.steps.register import DATA_UNTIL, VERSIONS

WON_THEN = "daycast.won_then"  # tag of a version that won as of a past day: the run that says so


def decided(settings: Settings, run_id: str) -> tuple[Decision, VersionRef]:
    """The decision that a run recorded, and the version of its winner.

    Raises:
        PromotionError: the run ended before it registered a winner.
        ToolError: there is no such run.
    """
    where = tracker(settings)
    run = tracking.find(where, run_id)
    try:
        decision = Decision.from_json(json.loads(tracking.text(where, run_id, "decision.json")))
        versions = json.loads(tracking.text(where, run_id, VERSIONS))
    except ToolError as error:
        raise PromotionError(
            "a run that went as far as to register its winner",
            f"run {run_id} ({run.name}) did not",
            "do it again with `daycast run` and the same overrides: what it did is not repeated",
        ) from error
    return decision, VersionRef(**versions[decision.winner])


def _is_of_the_past(settings: Settings, run_id: str, version: VersionRef, champion: registry.Version) -> bool:
    if "daycast.as_of" not in tracking.find(tracker(settings), run_id).tags:
        return False
    found = registry.versions(settings.tracking_uri, version.name)
    own = next(v.tags[DATA_UNTIL] for v in found if v.number == version.version)
    return champion.tags.get(DATA_UNTIL, "9") > own  # ISO; one that does not say may have seen anything


def promote(settings: Settings, dataset: str, run_id: str) -> VersionRef:
    """Make the run's winner champion; doing it again changes nothing.

    The winner of a run as of a past day does not take the place of a champion that has seen later days: it is marked as
    one that backfills may use, and returned as not in force.

    Raises:
        PromotionError: the decision does not allow it, there is nothing to promote, the winner was rolled back before,
            or there is another champion by now.
    """
    decision, version = decided(settings, run_id)
    if not decision.promote:
        raise PromotionError("a decision that allows promotion", "; ".join(decision.reasons), "train a better model")
    before = registry.by_alias(settings.tracking_uri, version.name, CHAMPION)
    if before is not None and before.number != version.version and _is_of_the_past(settings, run_id, version, before):
        registry.tag(settings.tracking_uri, version.name, version.version, {WON_THEN: run_id})
        return version.model_copy(update={"in_force": False})
    if history.rolled_back(moves(settings, dataset), version.version):
        raise PromotionError(
            f"a winner of {dataset} that was not rolled back before",
            f"version {version.version}, the same model as then",
            "train another one, or insist: `daycast promote --version N --force --reason TEXT`",
        )
    why = Why("promotion", run_id, decision.reasons[-1], decision.to_json())
    move(settings, dataset, version.version, why, None if before is None else before.number)
    return version


def override(settings: Settings, dataset: str, number: str, reason: str) -> VersionRef:
    """Make a version champion past the gate, by hand; who and why is written down.

    Raises:
        PromotionError: there is no such version, or somebody else moved the champion meanwhile.
    """
    name = registry.model_name(dataset)
    found = {v.number: v for v in registry.versions(settings.tracking_uri, name)}
    if number not in found:
        raise PromotionError(f"a version of {name} among {sorted(found, key=int)}", number, "name one of these")
    before = registry.by_alias(settings.tracking_uri, name, CHAMPION)
    why = Why("override", found[number].tags["daycast.run_id"], reason)
    move(settings, dataset, number, why, None if before is None else before.number)
    return VersionRef(name=name, version=number, model=found[number].tags["daycast.model"])
