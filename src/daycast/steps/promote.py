"""Obey a recorded decision: let the alias ``champion`` name the winner, and write down that it does."""

from __future__ import annotations

import json

from daycast.adapters import registry, store, tracking
from daycast.core.verdict import Decision
from daycast.errors import PromotionError, ToolError
from daycast.settings import Settings
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
        PromotionError: the decision does not allow it, or there is nothing to promote.
    """
    decision, version = decided(settings, run_id)
    if not decision.promote:
        raise PromotionError("a decision that allows promotion", "; ".join(decision.reasons), "train a better model")
    before = registry.by_alias(settings.tracking_uri, version.name, "champion")
    if before is not None and before.number == version.version:
        return version
    if before is not None and _is_of_the_past(settings, run_id, version, before):
        registry.tag(settings.tracking_uri, version.name, version.version, {WON_THEN: run_id})
        return version.model_copy(update={"in_force": False})
    # History first: a champion without a line in it could not be explained, a line without a champion is mended by
    # running the same command again.
    with store.opened(settings.store_url) as engine:
        moved = (None if before is None else before.number, version.version)
        store.write_promotion(engine, dataset, run_id, moved, decision.to_json())
    registry.set_alias(settings.tracking_uri, version.name, "champion", version.version)
    return version
