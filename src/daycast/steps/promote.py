"""Judge a run's winner beside the champion, and let the alias ``champion`` name it if every check passed."""

from __future__ import annotations

import json
from dataclasses import replace

from daycast.adapters import registry, tracking
from daycast.config import Dataset, Promotion, recorded
from daycast.core import history
from daycast.core.gate import Check, better_than
from daycast.core.verdict import Decision
from daycast.errors import MissingError, PromotionError
from daycast.settings import Settings
from daycast.steps import card, gate
from daycast.steps import recorded as of_run
from daycast.steps.champion import CHAMPION, Why, move, moves, present
from daycast.steps.judged import GATE, Judged
from daycast.steps.record import tracker
from daycast.steps.reference import VersionRef
from daycast.steps.register import DATA_UNTIL, VERSIONS
from daycast.steps.shelf import require_forecast

WON_THEN = "daycast.won_then"  # tag of a version that won as of a past day: the run that says so


def judged(
    settings: Settings, dataset: str, run_id: str, promotion: Promotion | None = None, model: str | None = None
) -> Judged:
    """Let the gate judge a run's winner; nothing is changed.

    Args:
        promotion: the gate; ``None`` for the run's own.
        model: another one of the run that has a version.

    Raises:
        PromotionError: the run ended before it registered a winner, or decided for none.
        MissingError: there is no such run.
    """
    decision, versions = decided(settings, run_id)
    if not decision.promote:
        raise PromotionError("a run that decided for a model", decision.reasons[-1], "run again")
    version = versions[model or decision.winner]
    before = registry.by_alias(settings.tracking_uri, version.name, CHAMPION)
    number = None if before is None else before.number
    if number == version.version:
        return _judged_then(settings, Judged(run_id, decision, version, number, ()))
    own = registry.find(settings.tracking_uri, version.name, version.version)
    if own is None:
        raise PromotionError(f"version {version.version} of {version.name}", "it was deleted", "run again")
    tags = tracking.find(tracker(settings), run_id).tags
    # ISO; a version that does not say may have seen anything
    if before is not None and "daycast.as_of" in tags and before.tags.get(DATA_UNTIL, "9") > own.tags[DATA_UNTIL]:
        return Judged(run_id, decision, version, number, (), of_the_past=True)
    lines = present(moves(settings, dataset), registry.versions(settings.tracking_uri, version.name))
    left = history.rolled_back(lines, version.version)
    told = "it was, and is the same model as then" if left else "it was not"
    checks = [Check("not rolled back before", not left, None, None, told)]
    config = recorded(of_run.configuration(settings, run_id), promotion)
    if config.promotion.champion is not None:
        asked = gate.Asked(run_id, own, before)
        checks += gate.judged(settings, config, of_run.data(settings, dataset, run_id, tags), asked)
    return Judged(run_id, decision, version, number, tuple(checks), beside=number, promotion=config.promotion.name)


def promote(settings: Settings, dataset: str, run_id: str, promotion: Promotion | None = None) -> VersionRef:
    """Make the run's winner champion if every check passes; twice is as once. As ``judged`` and ``obey``."""
    return obey(settings, dataset, run_id, judged(settings, dataset, run_id, promotion), promotion)


def obey(settings: Settings, dataset: str, run_id: str, found: Judged, promotion: Promotion | None) -> VersionRef:
    """Make the winner champion if it may be; the best baseline if not, where it has lost to it or nobody is champion.

    The winner of a run as of a past day does not take the place of a champion that has seen later days: it is marked as
    one that backfills may use, and returned as not in force.

    Args:
        promotion: the gate; ``None`` for the run's own.

    Raises:
        PromotionError: a check failed, there is nothing to promote, or there is another champion by now.
    """
    version = found.version
    if found.of_the_past:
        registry.tag(settings.tracking_uri, version.name, version.version, {WON_THEN: run_id})
        return version.model_copy(update={"in_force": False})
    stays = found.champion == version.version  # or it lacks its line, after a kill
    if found.checks and not stays:
        tracking.put(tracker(settings), run_id, {GATE: json.dumps(found.to_json(), indent=1)})
        card.judged(settings, run_id, version.version, _verdict(found))
    if not found.may:
        return _baseline(settings, dataset, promotion, found)
    why = Why("promotion", _made_by(settings, version), found.decision.reasons[-1], found.to_json())
    try:
        move(settings, dataset, version.version, why, found.champion)
    except PromotionError as error:
        said = card.Verdict(version.name, f"Not promoted: {error.found}.", False, found.checks)
        card.judged(settings, run_id, version.version, said)
        raise
    return version


def _judged_then(settings: Settings, found: Judged) -> Judged:
    """A winner that is champion now, with what the gate said of it; no checks if it was not this run's."""
    try:
        told = json.loads(tracking.text(tracker(settings), found.run_id, GATE))
    except MissingError:
        return found
    if told["version"] != found.version.version:
        return found
    checks, beside = tuple(Check(**check) for check in told["gate"]), told.get("beside", told["champion"])
    return replace(found, checks=checks, beside=beside, promotion=told.get("promotion"))


def instead(settings: Settings, dataset: str, winner: Judged, promotion: Promotion | None) -> Judged | None:
    """What the gate says of the best baseline, where the winner may not serve, and has lost to it or no champion does.

    ``None`` where that is not so, or the baseline serves already.
    """
    name, failed = winner.decision.baseline, [check.name for check in winner.checks if not check.passed]
    lost = better_than(name) in failed
    if winner.may or winner.of_the_past or name == winner.version.model or not (lost or winner.champion is None):
        return None
    found = judged(settings, dataset, winner.run_id, promotion, name)
    return None if found.version.version == winner.champion else found


def _baseline(settings: Settings, dataset: str, promotion: Promotion | None, winner: Judged) -> VersionRef:
    """Let the best baseline serve where the winner may not, if it may."""
    found = instead(settings, dataset, winner, promotion)
    if found is None:
        raise _refused(dataset, winner)
    card.judged(settings, None, found.version.version, _verdict(found))
    if not found.may:
        raise _refused(dataset, winner)
    failed = [check.name for check in winner.checks if not check.passed]
    none = "" if winner.champion else "there is no champion and "
    reason = f"the best baseline, as {none}{winner.version.model} failed: {', '.join(failed)}"
    why = Why("promotion", _made_by(settings, found.version), reason, {**found.to_json(), "refused": winner.to_json()})
    move(settings, dataset, found.version.version, why, winner.champion)
    return found.version


def _verdict(found: Judged) -> card.Verdict:
    beside = f"beside version {found.champion}" if found.champion else "without a champion to compare with"
    failed = sum(not check.passed for check in found.checks)
    told = f"version {found.version.version} ({found.version.model}), {beside}"
    said = f"Passed: {told}." if found.may else f"Refused: {told}; {failed} of {len(found.checks)} checks failed."
    return card.Verdict(found.version.name, said, found.may, found.checks)


def _refused(dataset: str, found: Judged, reason: str = "") -> PromotionError:
    """The refusal, by the checks that failed; by ``reason`` where none did."""
    version, champion = found.version, found.champion
    stays = f"version {champion} stays champion" if champion else f"{dataset} has no champion yet"
    error = PromotionError(
        f"every check of the gate passed by version {version.version} ({version.model})",
        "; ".join(f"{check.name}: {check.reason}" for check in found.checks if not check.passed) or reason,
        f"nothing has to be done, {stays}; or insist: `daycast promote dataset={dataset} --version {version.version} "
        "--force --reason TEXT`",
    )
    error.evidence = found.to_json()
    return error


def refusal(settings: Settings, dataset: str, run_id: str) -> PromotionError | None:
    """Why the gate refused a run's winner on another machine; ``None`` if it did not."""
    tags = tracking.find(tracker(settings), run_id).tags
    if tags.get(card.VERDICT) != "refused":
        return None
    told = json.loads(tracking.text(tracker(settings), run_id, GATE))
    decision, versions = decided(settings, run_id)
    checks = tuple(Check(**check) for check in told["gate"])
    by = told.get("promotion")
    found = Judged(run_id, decision, versions[decision.winner], told["champion"], checks, promotion=by)
    return _refused(dataset, found, tags[card.REASON])


def override(settings: Settings, dataset: Dataset, number: str, reason: str) -> VersionRef:
    """Make a version champion past the gate, by hand; who and why is written down.

    Raises:
        PromotionError: there is no such version, or not of daycast's making, it does not forecast, or somebody else
            moved the champion meanwhile.
    """
    name = registry.model_name(dataset.name)
    found = {v.number: v for v in registry.versions(settings.tracking_uri, name)}
    if number not in found:
        raise PromotionError(f"a version of {name} among {sorted(found, key=int)}", number, "name one of these")
    before = registry.by_alias(settings.tracking_uri, name, CHAMPION)
    require_forecast(settings, dataset, number)
    why = Why("override", found[number].tags["daycast.run_id"], reason)
    move(settings, dataset.name, number, why, None if before is None else before.number)
    return VersionRef(name=name, version=number, model=found[number].tags["daycast.model"])


def _made_by(settings: Settings, version: VersionRef) -> str:
    """The run that made a version; another run may have come to the same one."""
    made = registry.find(settings.tracking_uri, version.name, version.version)
    if made is None:
        raise PromotionError(f"version {version.version} of {version.name}", "it was deleted", "run again")
    return made.tags["daycast.run_id"]


def decided(settings: Settings, run_id: str) -> tuple[Decision, dict[str, VersionRef]]:
    """The decision that a run recorded, and the versions that came of it, by model.

    Raises:
        PromotionError: the run ended before it registered a winner.
        MissingError: there is no such run.
    """
    where = tracker(settings)
    run = tracking.find(where, run_id)
    try:
        decision = Decision.from_json(json.loads(tracking.text(where, run_id, "decision.json")))
        versions = json.loads(tracking.text(where, run_id, VERSIONS))
    except (MissingError, TypeError, KeyError) as error:  # the two of a run of older code
        raise PromotionError(
            "a run that went as far as to register its winner",
            f"run {run_id} ({run.name}) did not",
            "do it again with `daycast run` and the same overrides: what it did is not repeated",
        ) from error
    return decision, {name: VersionRef(**told) for name, told in versions.items()}
