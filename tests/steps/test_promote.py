"""The gate, the registry and the history of promotions, through the real flow and by single steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pytest
from tests.project import Project, environment

from daycast.adapters import registry, store, tracking
from daycast.errors import PromotionError, ToolError
from daycast.steps import compare, promote
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import VersionRef
from daycast.steps.register import register

pytestmark = pytest.mark.xdist_group("flows")

NAME = "daycast-tiny"
STRICT = ("model=[naive,seasonal_naive,gru]", "promotion.margin=0.99")
EASY = ("model=[naive,sarima]", "promotion.margin=0", "promotion.significance=null")


@dataclass(frozen=True)
class After:
    """A run, and what the registry and the history held right after it."""

    outcome: Outcome
    champion: registry.Version
    challenger: registry.Version
    history: pd.DataFrame

    @property
    def version(self) -> VersionRef:
        """What it promoted."""
        assert self.outcome.champion is not None
        return self.outcome.champion


def history(project: Project) -> pd.DataFrame:
    """All promotions."""
    with store.opened(project.settings.store_url) as engine:
        return store.read_promotions(engine, "tiny")


def alias(project: Project, name: str) -> registry.Version:
    """The version that carries an alias."""
    found = registry.by_alias(project.settings.tracking_uri, NAME, name)
    assert found is not None
    return found


def set_champion(project: Project, version: str) -> None:
    """Let another version be champion."""
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", version)


@pytest.fixture(scope="module")
def runs(trained: tuple[Project, Outcome]) -> Iterator[tuple[After, After]]:
    """A run with a gate that nothing passes, and one after it with a gate that all pass who are better at all."""
    project = trained[0]
    with environment(project.settings):
        before = alias(project, "champion")
        made = []
        for given in (STRICT, EASY):
            outcome = project.train(*given)
            made.append(After(outcome, alias(project, "champion"), alias(project, "challenger"), history(project)))
    yield made[0], made[1]
    with environment(project.settings):
        set_champion(project, before.number)


@pytest.fixture
def strict(runs: tuple[After, After]) -> After:
    """The run whose gate nothing passes."""
    return runs[0]


@pytest.fixture
def easy(runs: tuple[After, After], project: Project) -> After:
    """The run whose candidate passes; its version is champion now."""
    set_champion(project, runs[1].version.version)
    return runs[1]


def test_where_nothing_beats_the_baseline_it_is_champion_and_the_leading_candidate_challenger(
    project: Project, strict: After
) -> None:
    board, decision = compare.read(project.settings, strict.outcome.board)
    best = board[board["model"].isin(["naive", "seasonal_naive"])]["model"].iloc[0]
    assert decision.is_baseline
    assert strict.version.model == decision.winner == best
    assert strict.champion.number == strict.version.version
    assert strict.champion.tags["daycast.model"] == best
    assert strict.challenger.tags["daycast.model"] == "gru"
    assert any("99.0 % required: failed" in reason for reason in decision.reasons)
    line = strict.history.iloc[-1]
    assert (line["run_id"], line["to_version"]) == (strict.outcome.run.run_id, strict.version.version)
    assert (line["decision"]["winner"], line["decision"]["reasons"]) == (best, list(decision.reasons))


def test_a_candidate_that_passes_is_champion_and_the_history_says_from_which_to_which(
    strict: After, easy: After
) -> None:
    assert easy.version.model == "sarima"
    assert easy.champion.number == easy.challenger.number == easy.version.version
    line = easy.history.iloc[-1]
    assert (line["from_version"], line["to_version"]) == (strict.version.version, easy.version.version)
    assert len(easy.history) == len(strict.history) + 1


def test_promoting_again_changes_nothing_and_writes_nothing(project: Project, easy: After) -> None:
    versions = registry.versions(project.settings.tracking_uri, NAME)
    for _ in range(2):
        assert promote.promote(project.settings, "tiny", easy.outcome.run.run_id) == easy.version
    assert project.train(*EASY).champion == easy.version
    pd.testing.assert_frame_equal(history(project), easy.history)
    assert registry.versions(project.settings.tracking_uri, NAME) == versions


def test_a_promotion_that_was_cut_off_before_the_alias_moved_is_finished_by_the_next(
    project: Project, strict: After, easy: After
) -> None:
    set_champion(project, strict.version.version)  # as a kill between the history's line and the alias leaves it
    assert promote.promote(project.settings, "tiny", easy.outcome.run.run_id) == easy.version
    assert alias(project, "champion").number == easy.version.version
    pd.testing.assert_frame_equal(history(project), easy.history)


def test_promoting_an_older_run_obeys_what_was_decided_then(project: Project, strict: After, easy: After) -> None:
    assert strict.version != easy.version
    assert promote.promote(project.settings, "tiny", strict.outcome.run.run_id) == strict.version
    assert alias(project, "champion").number == strict.version.version


def test_a_refused_decision_promotes_nothing(project: Project, strict: After, easy: After) -> None:
    told = tracking.text(project.tracking, strict.outcome.run.run_id, "decision.json")
    refused = told.replace('"promote": true', '"promote": false')
    assert refused != told
    before = history(project)
    tracking.put(project.tracking, strict.outcome.run.run_id, {"decision.json": refused})
    try:
        with pytest.raises(PromotionError, match="a decision that allows promotion"):
            promote.promote(project.settings, "tiny", strict.outcome.run.run_id)
    finally:
        tracking.put(project.tracking, strict.outcome.run.run_id, {"decision.json": told})
    assert alias(project, "champion").number == easy.version.version
    pd.testing.assert_frame_equal(history(project), before)


@pytest.mark.parametrize("last", ["tune", "backtest"])
def test_a_run_that_ended_before_it_registered_can_not_be_promoted_and_says_how_to(project: Project, last: str) -> None:
    ended = project.train(f"model=[naive,{'day_type_naive' if last == 'tune' else 'seasonal_naive'}]", last=last)
    with pytest.raises(PromotionError, match=r"(?s)register its winner.*did not.*`daycast run`"):
        promote.promote(project.settings, "tiny", ended.run.run_id)


def test_a_run_that_does_not_exist_is_no_matter_of_promotion(project: Project) -> None:
    with pytest.raises(ToolError, match="0123456789abcdef"):
        promote.promote(project.settings, "tiny", "0123456789abcdef" * 2)


def test_a_version_holds_weights_settings_and_an_example_and_no_pickle(project: Project, strict: After) -> None:
    loaded = registry.load(project.settings.tracking_uri, NAME, strict.challenger.number)
    names = {p.name for p in loaded.folder.rglob("*") if p.is_file()}
    assert {"served_model.py", "config.json", "weights.safetensors", "serving.json", "MLmodel"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".ckpt"))]


def test_a_model_whose_run_was_deleted_can_not_be_registered_and_says_why(project: Project, strict: After) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)
    children = {c.name: c.run_id for c in tracking.children(project.tracking, strict.outcome.run.run_id)}
    made = strict.outcome
    given = (project.config(*STRICT), made.data, made.run, made.board, list(made.tuned))
    client.delete_run(children["gru"])
    try:
        with pytest.raises(ToolError, match=r"(?s)the run of gru.*it was deleted"):
            register(project.settings, *given)
    finally:
        client.restore_run(children["gru"])
    assert register(project.settings, *given) == strict.version
