"""Cards and tags of versions after a run, a refusal and a rollback: what MLflow holds."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from tests.project import Project, environment

from daycast.adapters import registry, tracking
from daycast.core import history
from daycast.errors import PromotionError
from daycast.steps import champion, promote
from daycast.steps.card import FILE, LONGEST
from daycast.steps.outcomes import Outcome
from daycast.steps.register import register

pytestmark = pytest.mark.xdist_group("flows")
NAME = "daycast-tiny"
SECTIONS = ("Data", "Model", "Protocol", "Scores", "Intervals", "Weak spots", "Seeds", "Reproduce")


def description(project: Project, number: str) -> str:
    uri = project.settings.tracking_uri
    return str(MlflowClient(uri, uri).get_model_version(NAME, number).description)


def test_every_registered_version_has_a_card_in_its_files_its_run_and_its_description(
    trained: tuple[Project, Outcome], project: Project
) -> None:
    run_id = trained[1].run.run_id
    of_run = [v for v in registry.versions(project.settings.tracking_uri, NAME) if v.tags["daycast.run_id"] == run_id]
    assert len(of_run) >= 2  # the candidate and the best baseline
    for version in of_run:
        text = tracking.text(project.tracking, version.run_id, FILE)
        for section in SECTIONS:
            assert f"\n## {section}\n" in text
        assert project.data.version in text
        assert f"daycast reproduce-run {run_id}" in text
        for baseline in ("naive", "seasonal_naive", "day_type_naive"):
            assert f"{baseline}** | baseline |" in text or f"| {baseline} | baseline |" in text
        shown = description(project, version.number)
        assert shown.startswith(f"# {version.tags['daycast.model']} of tiny")
        assert len(shown) <= LONGEST
        folder = registry.load(project.settings.tracking_uri, NAME, version.number).folder
        assert "## Scores" in (folder / "artifacts" / FILE).read_text()
        note = tracking.find(project.tracking, version.run_id).tags[tracking.NOTE]
        assert note.startswith("# ")


def test_a_network_of_several_seeds_has_their_spread_on_its_card(project: Project, network: str) -> None:
    version = registry.find(project.settings.tracking_uri, NAME, network)
    assert version is not None
    text = tracking.text(project.tracking, version.run_id, FILE)
    assert "2 networks that differ by their seed, mase of each: " in text
    assert "cell: gru" in text


def test_a_refusal_is_on_the_version_its_card_and_the_run(project: Project) -> None:
    with environment(project.settings):
        made = project.train("model=[naive,sarima]", "promotion.margin=0", "promotion.significance=null")
    assert made.champion is not None
    run_id, number = made.run.run_id, made.champion.version
    before = registry.required(project.settings.tracking_uri, NAME, "champion").number
    found = promote.Judged(
        run_id,
        promote.decided(project.settings, run_id)[0],
        made.champion,
        "999",
        (promote.Check("size", False, 600.0, 500.0, "600.0 MB, 500 allowed"),),
    )
    with pytest.raises(PromotionError, match="600"):
        promote.obey(project.settings, "tiny", run_id, found, None)
    assert registry.required(project.settings.tracking_uri, NAME, "champion").number == before
    version = registry.find(project.settings.tracking_uri, NAME, number)
    assert version is not None
    reason = "size: 600.0 MB, 500 allowed"
    assert (version.tags["daycast.gate"], version.tags["daycast.gate_reason"]) == ("refused", reason)
    run = tracking.find(project.tracking, run_id)
    assert (run.tags["daycast.gate"], run.tags["daycast.gate_reason"]) == ("refused", reason)
    for text in (description(project, number), run.tags[tracking.NOTE]):
        assert "Refused: version" in text
        assert "| **failed** | size | 600.0 MB, 500 allowed |" in text


def test_a_version_that_its_runs_leaderboard_did_not_propose_says_why(project: Project, network: str) -> None:
    version = registry.find(project.settings.tracking_uri, NAME, network)
    assert version is not None
    run_id = version.tags["daycast.run_id"]
    decision, versions = promote.decided(project.settings, run_id)
    assert decision.winner != versions["gru_quantiles"].model
    own = [reason for reason in decision.reasons if reason.startswith("gru_quantiles: ")]
    assert "99.0 % required: failed" in own[0]
    assert version.tags["daycast.gate"] == "not proposed"
    assert version.tags["daycast.gate_reason"] == "; ".join([*own, decision.reasons[-1]])
    note = tracking.find(project.tracking, version.run_id).tags[tracking.NOTE]
    for text in (description(project, network), tracking.text(project.tracking, version.run_id, FILE), note):
        section = text.split("\n## The gate\n")[1].split("\n## ")[0]
        assert f"Not proposed to the gate by run {run_id}: {decision.reasons[-1]}." in section
        assert all(f"- {reason}" in section for reason in own)
        assert "failed |" not in section  # no check of the gate was made


def test_the_newest_statement_about_a_version_stands_and_a_repeated_run_makes_none(project: Project) -> None:
    def told() -> tuple[str, ...]:
        version = registry.find(project.settings.tracking_uri, NAME, number)
        assert version is not None
        return version.tags["daycast.gate"], version.tags["daycast.gate_reason"], description(project, number)

    def registered_with(margin: str) -> str:
        given = ("model=[naive,sarima]", f"promotion.margin={margin}", *lenient)
        with environment(project.settings):
            made = project.train(*given, last="backtest")
            assert made.board is not None
            register(project.settings, project.config(*given), made.data, made.run, made.board, list(made.tuned))
        return made.run.run_id

    # A model of this test alone: what is said of its version is said here.
    lenient = ("model.sarima.train_steps=113", "promotion.significance=null")
    first = registered_with("0.98")
    number = promote.decided(project.settings, first)[1]["sarima"].version
    assert told()[0] == "not proposed"
    assert "98.0 % required: failed" in told()[1]
    second = registered_with("0")
    decision, versions = promote.decided(project.settings, second)
    assert (decision.winner, versions["sarima"].version) == ("sarima", number)
    failed = (promote.Check("size", False, 600.0, 500.0, "600.0 MB, 500 allowed"),)
    found = promote.Judged(second, decision, versions["sarima"], "999", failed)
    with pytest.raises(PromotionError, match="600"):
        promote.obey(project.settings, "tiny", second, found, None)
    assert told()[:2] == ("refused", "size: 600.0 MB, 500 allowed")
    before = told()
    assert registered_with("0.98") == first
    assert told() == before
    third = registered_with("0.97")
    assert told()[0] == "not proposed"
    assert "97.0 % required: failed" in told()[1]
    assert third in told()[2]
    assert "600.0 MB" not in told()[2]


def test_one_that_came_too_late_to_be_promoted_says_so_wherever_it_is_looked_for(project: Project) -> None:
    with environment(project.settings):
        made = project.train("model=[naive,sarima]", "promotion.margin=0", "promotion.significance=null")
    run_id, (decision, versions) = made.run.run_id, promote.decided(project.settings, made.run.run_id)
    before = registry.required(project.settings.tracking_uri, NAME, "champion").number
    winner = next(version for version in versions.values() if version.version != before)
    number = winner.version
    found = promote.Judged(
        run_id,
        decision,
        winner,
        "999",  # which somebody has replaced since
        (promote.Check("size", True, 1.0, 500.0, "1.0 MB, 500 allowed"),),
    )
    with pytest.raises(PromotionError) as raised:
        promote.obey(project.settings, "tiny", run_id, found, None)
    assert registry.required(project.settings.tracking_uri, NAME, "champion").number == before
    version = registry.find(project.settings.tracking_uri, NAME, number)
    assert version is not None
    for tags in (version.tags, tracking.find(project.tracking, run_id).tags):
        assert (tags["daycast.gate"], tags["daycast.gate_reason"]) == (
            "refused",
            f"Not promoted: {raised.value.found}.",
        )
    told = promote.refusal(project.settings, "tiny", run_id)
    assert told is not None
    assert raised.value.found in told.found


def test_a_former_champion_keeps_when_it_served(trained: tuple[Project, Outcome], project: Project) -> None:
    first = trained[1].champion
    assert first is not None
    uri = project.settings.tracking_uri
    now = registry.required(uri, NAME, "champion")
    other = next(v.number for v in registry.versions(uri, NAME) if v.number != now.number)
    before = len(history.served(champion.moves(project.settings, "tiny"), now.number))

    def to(number: str, since: str) -> None:
        made_by = registry.find(uri, NAME, number).tags[champion.RUN]  # type: ignore[union-attr]
        why = champion.Why("override", made_by, "to see what is left of the former one")
        champion.move(project.settings, "tiny", number, why, since)

    to(other, now.number)
    left, came = (registry.find(uri, NAME, number) for number in (now.number, other))
    assert left is not None
    assert came is not None
    assert came.tags[champion.SERVED].endswith("UTC .. now")
    assert left.tags[champion.SERVED].endswith(" UTC")
    assert came.aliases[:1] == ("champion",) or "champion" in came.aliases
    to(now.number, other)
    back = registry.find(uri, NAME, now.number)
    assert back is not None
    assert back.tags[champion.SERVED].count(" .. ") == before + 1
