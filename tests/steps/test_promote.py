"""The gate, the registry and the history of promotions, through the real flow and by single steps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.project import Project, environment

from daycast.adapters import registry, store, tracking
from daycast.cli import champions, summary
from daycast.core import history as core
from daycast.errors import ConfigError, PromotionError, ToolError
from daycast.steps import card, champion, compare, promote, rollback, standing
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


@contextmanager
def killed_after_the_alias() -> Iterator[None]:
    """What is moved meanwhile is cut off between the alias and the end of the turn, as by a kill."""
    set_alias = registry.set_alias

    def cut_off(*given: str) -> None:
        set_alias(*given)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(registry, "set_alias", cut_off)
        with pytest.raises(KeyboardInterrupt):
            yield


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
    made_by = strict.champion.tags["daycast.run_id"]  # another run may have come to the same version
    assert (line["run_id"], line["to_version"]) == (made_by, strict.version.version)
    assert line["decision"]["judged_run"] == strict.outcome.run.run_id
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


def test_a_promotion_that_was_cut_off_after_the_alias_moved_gets_its_line_from_the_next(
    project: Project, strict: After, easy: After
) -> None:
    promote.promote(project.settings, "tiny", strict.outcome.run.run_id)
    with killed_after_the_alias():
        promote.promote(project.settings, "tiny", easy.outcome.run.run_id)
    shown = standing.told(project.settings, project.config().dataset, None)
    assert (shown["version"], shown["since"]) == (easy.version.version, None)
    assert "by other means" in shown["note"]
    before = len(history(project))
    assert promote.promote(project.settings, "tiny", easy.outcome.run.run_id) == easy.version
    line = history(project).iloc[-1]
    assert (line["from_version"], line["to_version"]) == (strict.version.version, easy.version.version)
    assert len(history(project)) == before + 1


def test_a_move_whose_alias_can_not_be_set_is_none(
    project: Project, strict: After, easy: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise ToolError("MLflow to answer", "no", "start it")

    before = history(project)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_alias", refused)
        with pytest.raises(ToolError):
            promote.promote(project.settings, "tiny", strict.outcome.run.run_id)
    pd.testing.assert_frame_equal(history(project), before)
    assert alias(project, "champion").number == easy.version.version


def test_of_two_promotions_at_once_one_is_in_force_and_the_history_is_one_chain(
    project: Project, strict: After, easy: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, both = promote.move, Barrier(2)

    def at_once(*given: Any) -> None:
        both.wait(60)  # each has judged its own winner beside the same champion
        move(*given)

    def promoted(after: After) -> str:
        try:
            return promote.promote(project.settings, "tiny", after.outcome.run.run_id).version
        except PromotionError as error:
            return f"refused: {error.found}"

    other = other_than(project, strict, easy)
    promote.override(project.settings, project.config().dataset, other, "to begin with")
    at = len(history(project))
    monkeypatch.setattr(promote, "move", at_once)
    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(promoted, (strict, easy)))
    lines = history(project).iloc[at:]
    # One was decided against a champion that the other had replaced by then.
    assert "took its place meanwhile" in max(came)
    assert len(lines) == 1
    assert (lines["from_version"].iloc[0], lines["to_version"].iloc[0]) == (other, min(came))
    assert alias(project, "champion").number == min(came)


def test_of_many_commands_at_once_the_history_is_one_chain_that_ends_at_the_champion(
    project: Project, strict: After, easy: After
) -> None:
    both = strict.version.version, easy.version.version
    for version in both:  # so that the last line is of the champion
        promote.override(project.settings, project.config().dataset, version, "to begin with")
    at = len(history(project))
    words = [sys.executable, "-m", "daycast", "promote", "dataset=tiny", "--force", "--reason", "a race"]
    begun = [subprocess.Popen([*words, "--version", both[i % 2]], stderr=subprocess.PIPE, text=True) for i in range(4)]
    ended = [(process.communicate(timeout=300)[1], process.returncode) for process in begun]
    assert {code for _, code in ended} <= {0, PromotionError.exit_code}
    assert all("took its place meanwhile" in said for said, code in ended if code)
    lines = history(project)
    assert lines["number"].tolist() == list(range(1, len(lines) + 1))
    assert lines["from_version"].tolist()[at:] == lines["to_version"].tolist()[at - 1 : -1]
    assert alias(project, "champion").number == lines["to_version"].iloc[-1]


def test_a_rollback_goes_back_is_told_and_what_it_left_is_not_promoted_again(
    project: Project, strict: After, easy: After
) -> None:
    dataset = project.config().dataset
    for after in (strict, easy):
        promote.override(project.settings, project.config().dataset, after.version.version, "to begin with")
    before = history(project)
    moved = easy.version.version, strict.version.version
    assert rollback.rollback(project.settings, dataset, None, "too low", dry_run=True) == moved
    pd.testing.assert_frame_equal(history(project), before)
    assert rollback.rollback(project.settings, dataset, None, "too low", dry_run=False) == moved
    assert alias(project, "champion").number == strict.version.version
    line = history(project).iloc[-1]
    assert (line["kind"], line["from_version"], line["to_version"], line["reason"]) == ("rollback", *moved, "too low")
    assert line["actor"] == champion.actor()
    shown = standing.told(project.settings, dataset, None)
    assert (shown["version"], shown["kind"], shown["from_version"]) == (moved[1], "rollback", moved[0])
    with pytest.raises(PromotionError, match=r"(?s)not rolled back before.*--force"):
        promote.promote(project.settings, "tiny", easy.outcome.run.run_id)
    assert alias(project, "champion").number == strict.version.version
    assert (
        promote.override(project.settings, project.config().dataset, easy.version.version, "it was the weather")
        == easy.version
    )
    assert history(project).iloc[-1][["kind", "reason"]].tolist() == ["override", "it was the weather"]
    assert promote.promote(project.settings, "tiny", easy.outcome.run.run_id) == easy.version


def test_a_rollback_that_was_killed_before_its_line_is_finished_by_the_next(
    project: Project, strict: After, easy: After
) -> None:
    dataset = project.config().dataset
    for after in (strict, easy):
        promote.override(project.settings, project.config().dataset, after.version.version, "to begin with")
    before = len(history(project))
    with killed_after_the_alias():
        rollback.rollback(project.settings, dataset, None, "too low", dry_run=False)
    assert len(history(project)) == before
    moved = (easy.version.version, strict.version.version)
    assert rollback.rollback(project.settings, dataset, None, "too low still", dry_run=True) == moved
    assert len(history(project)) == before
    assert rollback.rollback(project.settings, dataset, None, "too low still", dry_run=False) == moved
    line = history(project).iloc[-1]
    assert line[["kind", "from_version", "to_version", "reason"]].tolist() == ["rollback", *moved, "too low"]
    assert len(history(project)) == before + 1
    assert alias(project, "champion").number == strict.version.version


@pytest.mark.parametrize("dry_run", [True, False])
def test_after_a_promotion_that_was_killed_a_rollback_goes_back_to_the_champion_before_it_and_no_further(
    project: Project, strict: After, easy: After, dry_run: bool
) -> None:
    dataset = project.config().dataset
    third = other_than(project, strict, easy)
    for number in (third, strict.version.version):
        promote.override(project.settings, dataset, number, "to begin with")
    before = len(history(project))
    with killed_after_the_alias():
        promote.override(project.settings, dataset, easy.version.version, "it was the weather")
    assert len(history(project)) == before
    moved = (easy.version.version, strict.version.version)
    assert rollback.rollback(project.settings, dataset, None, "too low", dry_run=dry_run) == moved
    lines = history(project).iloc[before:]
    made = lines[["kind", "from_version", "to_version", "reason"]].to_numpy().tolist()
    cut_off = ["override", strict.version.version, easy.version.version, "it was the weather"]
    assert made == ([] if dry_run else [cut_off, ["rollback", *moved, "too low"]])
    if dry_run:
        assert champion.settle(project.settings, "tiny") is not None
    assert champion.settle(project.settings, "tiny") is None
    promote.override(project.settings, dataset, easy.version.version, "as it was")


def test_a_version_that_does_not_load_any_more_is_not_gone_back_to(
    project: Project, strict: After, easy: After
) -> None:
    for after in (strict, easy):
        promote.override(project.settings, project.config().dataset, after.version.version, "to begin with")
    before = history(project)
    loaded = registry.load(project.settings.tracking_uri, NAME, strict.version.version)
    weights = loaded.folder / "artifacts" / "serving.json"
    kept = weights.read_bytes()
    weights.write_text("{}")
    try:
        with pytest.raises(PromotionError, match=r"(?s)to load, and to forecast.*daycast history"):
            rollback.rollback(project.settings, project.config().dataset, None, "why not", dry_run=False)
    finally:
        weights.write_bytes(kept)
    pd.testing.assert_frame_equal(history(project), before)
    assert alias(project, "champion").number == easy.version.version


def test_a_version_that_never_was_champion_is_not_gone_back_to(project: Project, easy: After) -> None:
    lines = history(project)
    ever = {*lines["to_version"], *lines["from_version"].dropna()}
    never = [v.number for v in registry.versions(project.settings.tracking_uri, NAME) if v.number not in ever]
    assert never
    with pytest.raises(PromotionError, match=r"(?s)never was one.*--force"):
        rollback.rollback(project.settings, project.config().dataset, never[0], "why not", dry_run=False)
    assert alias(project, "champion").number == easy.version.version


def test_a_move_is_made_whole_or_not_at_all_and_what_could_not_be_told_of_it_is_told_by_the_next(
    project: Project, strict: After, easy: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise ToolError("MLflow to answer", "no", "start it")

    def refused_afterwards(uri: str, name: str, number: str, tags: dict[str, str], *text: str) -> None:
        if champion.MOVED not in tags:
            refused()
        tag(uri, name, number, tags, *text)

    tag = registry.tag
    dataset, why = project.config().dataset, "to begin with"
    promote.override(project.settings, dataset, strict.version.version, why)
    before = len(history(project))
    with monkeypatch.context() as patched:
        patched.setattr(registry, "tag", refused)  # what a kill would be mended by
        with pytest.raises(ToolError):
            promote.override(project.settings, dataset, easy.version.version, why)
        assert len(history(project)) == before
        assert alias(project, "champion").number == strict.version.version
        patched.setattr(registry, "tag", refused_afterwards)
        promote.override(project.settings, dataset, easy.version.version, why)
    assert len(history(project)) == before + 1
    promote.override(project.settings, dataset, easy.version.version, why)
    assert len(history(project)) == before + 1
    for version, now in ((easy, True), (strict, False)):
        found = registry.find(project.settings.tracking_uri, NAME, version.version.version)
        assert found is not None
        assert found.tags[champion.SERVED].endswith("now") is now


def test_the_commands_go_back_tell_of_it_and_the_next_forecast_is_the_former_champions(
    project: Project, strict: After, easy: After
) -> None:
    def daycast(*words: str, code: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "daycast", *words, "dataset=tiny", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if not code else done.stderr

    for after in (strict, easy):
        promote.override(project.settings, project.config().dataset, after.version.version, "to begin with")
    assert daycast("champion")["version"] == easy.version.version
    moved = daycast("rollback", "--reason", "too low")
    assert (moved["from"], moved["to"], moved["moved"]) == (easy.version.version, strict.version.version, True)
    assert daycast("champion")["version"] == strict.version.version
    line = daycast("history")["history"][-1]
    assert (line["kind"], line["to_version"], line["reason"]) == ("rollback", strict.version.version, "too low")
    made = daycast("forecast")
    assert (made["role"], made["served_by"]["version"]) == ("champion", strict.version.version)
    said = daycast("rollback", "--to", "4711", code=PromotionError.exit_code)
    assert "4711" in said
    promote.override(project.settings, project.config().dataset, easy.version.version, "as it was")


def test_a_champion_whose_version_was_deleted_is_gone_back_from_too(
    project: Project, strict: After, easy: After
) -> None:
    dataset, uri = project.config().dataset, project.settings.tracking_uri
    for after in (strict, easy):
        promote.override(project.settings, dataset, after.version.version, "to begin with")
    registry.unset_alias(uri, NAME, "champion")  # as its deletion does
    moved = rollback.rollback(project.settings, dataset, strict.version.version, "it is gone", dry_run=False)
    assert moved == (None, strict.version.version)
    assert alias(project, "champion").number == strict.version.version
    promote.override(project.settings, dataset, easy.version.version, "as it was")


def test_what_is_forced_once_more_and_a_champions_own_gate_are_told_as_they_are(
    project: Project, easy: After, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, version = project.config().dataset, easy.version.version
    promote.override(project.settings, dataset, version, "to begin with")
    before = history(project)
    given = (version, True, "again")
    champions.override(project.settings, dataset, given, dry_run=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["promoted"], told["reason"]) == (False, None)
    pd.testing.assert_frame_equal(history(project), before)
    with pytest.raises(ConfigError, match="--version and --force alone"):
        champions.override(project.settings, dataset, (version, True, "  "), dry_run=False, as_json=True)
    decision = promote.decided(project.settings, easy.outcome.run.run_id)[0]
    failed = (promote.Check("size", False, 2.0, 1.0, "2.0 MB, 1 allowed"),)
    forced = promote.Judged(easy.outcome.run.run_id, decision, easy.version, version, failed, beside="7")
    summary.show_checks(forced)
    shown = capsys.readouterr().out
    assert f"version {version} is champion already" in shown
    assert "beside version 7" in shown
    assert "a check failed, and it was made champion by hand" in shown
    assert "every check passed" not in shown
    for already, told in ((True, "Champion already: sarima is version"), (False, "Champion: sarima would be version")):
        summary.show_decision(decision, easy.version, True, already)
        assert f"{told} {version} of {NAME}" in capsys.readouterr().out


@pytest.mark.parametrize("to", ["4711", None, "same"])
def test_there_is_no_way_back_to_what_is_not_there(project: Project, easy: After, to: str | None) -> None:
    dataset = project.config().dataset
    if to is None:
        dataset = dataset.model_copy(update={"name": "another"})
    with pytest.raises(PromotionError):
        rollback.rollback(
            project.settings, dataset, easy.version.version if to == "same" else to, "why not", dry_run=False
        )
    assert alias(project, "champion").number == easy.version.version


def test_a_version_that_does_not_load_is_not_made_champion_by_hand(
    project: Project, strict: After, easy: After
) -> None:
    loaded = registry.load(project.settings.tracking_uri, NAME, strict.version.version)
    told = loaded.folder / "artifacts" / "serving.json"
    kept = told.read_bytes()
    told.write_text("{}")
    try:
        with pytest.raises(PromotionError, match="to load, and to forecast"):
            promote.override(project.settings, project.config().dataset, strict.version.version, "I know better")
    finally:
        told.write_bytes(kept)
    assert alias(project, "champion").number == easy.version.version


def test_what_is_rolled_back_while_the_gate_judges_it_is_not_promoted(
    project: Project, strict: After, easy: After
) -> None:
    dataset, run = project.config().dataset, easy.outcome.run.run_id
    promote.override(project.settings, dataset, strict.version.version, "to begin with")
    found = promote.judged(project.settings, "tiny", run)
    assert found.may
    promote.override(project.settings, dataset, easy.version.version, "meanwhile")
    rollback.rollback(project.settings, dataset, strict.version.version, "too low", dry_run=False)
    before = history(project)
    with pytest.raises(PromotionError, match="rolled back meanwhile"):
        promote.obey(project.settings, "tiny", run, found, None)
    pd.testing.assert_frame_equal(history(project), before)
    assert alias(project, "champion").number == strict.version.version


def test_moves_of_a_registry_that_is_gone_lead_nowhere(project: Project, strict: After, easy: After) -> None:
    """MLflow was set up anew and the store was kept: its numbers mean other versions now."""
    versions = registry.versions(project.settings.tracking_uri, NAME)
    lines = history(project)
    assert set(champion.present(lines, versions)["to_version"]) >= {strict.version.version, easy.version.version}
    assert champion.present(lines.assign(run_id="of another one"), versions).empty
    assert champion.present(lines, versions[:0]).empty


def test_a_store_in_mlflows_own_file_is_refused_before_both_wait_for_each_other(project: Project) -> None:
    one = replace(project.settings, store_url=project.settings.tracking_uri)
    with pytest.raises(ConfigError, match="DAYCAST_STORE_URL"):
        champion.move(one, "tiny", "1", champion.Why("override", "x", "y"), None)


@pytest.mark.usefixtures("easy")
def test_who_was_champion_on_a_day_is_told_in_the_datasets_own_time(project: Project) -> None:
    dataset = project.config().dataset
    first = history(project)["decided_at"].iloc[0].tz_convert(dataset.timezone).date()
    assert standing.told(project.settings, dataset, first)["version"]
    with pytest.raises(PromotionError, match="none up to that day"):
        standing.told(project.settings, dataset, first - timedelta(days=1))
    with pytest.raises(ConfigError, match="--on"):
        standing.told(project.settings, dataset, first + timedelta(days=10_000))


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
        with pytest.raises(PromotionError, match="a run that decided for a model"):
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


def test_versions_of_this_registry_that_were_deleted_leave_their_moves_there(
    project: Project, strict: After, easy: After
) -> None:
    """Else the champion before a deleted one would be forgotten with it."""
    first, third = strict.version.version, easy.version.version
    versions = [v for v in registry.versions(project.settings.tracking_uri, NAME) if v.number in (first, third)]
    run = {v.number: v.tags["daycast.run_id"] for v in versions}
    lines = pd.DataFrame(
        [
            ("promotion", "of another registry", None, "1000"),
            ("promotion", run[first], None, first),
            ("promotion", "deleted", first, "1001"),
            ("promotion", run[third], "1001", third),
        ],
        columns=["kind", "run_id", "from_version", "to_version"],
    )
    there = champion.present(lines, versions)
    assert there["to_version"].tolist() == [first, "1001", third]
    assert core.former(there, third) == ["1001", first]


def test_what_was_told_of_a_version_of_the_same_number_in_another_registry_is_not_this_ones(
    project: Project, strict: After, easy: After
) -> None:
    number, url = strict.version.version, project.settings.store_url
    file = url.removeprefix("sqlite:///")
    shutil.copy(file, f"{file}.kept")
    try:
        with store.opened(url) as engine:
            with engine.begin() as connection:
                connection.execute(store.tables.promotions.delete())
            with store.moving(engine, "tiny") as turn:
                turn.append(store.Move("promotion", "of another registry", None, number, {}, "Ann", "the first one"))
        promote.override(project.settings, project.config().dataset, easy.version.version, "to begin with")
        promote.override(project.settings, project.config().dataset, number, "for a test")
        assert alias_tag(project, number).count("..") == 1
        assert "the first one" not in tracking.text(project.tracking, strict.champion.run_id, card.FILE)
    finally:
        shutil.move(f"{file}.kept", file)
        set_champion(project, easy.version.version)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_alias_moved_in_mlflow_is_written_down_and_gone_back_from(
    project: Project, strict: After, easy: After, dry_run: bool
) -> None:
    dataset = project.config().dataset
    third = other_than(project, strict, easy)
    for number in (third, strict.version.version):
        promote.override(project.settings, dataset, number, "to begin with")
    before = len(history(project))
    set_champion(project, easy.version.version)
    moved = (easy.version.version, strict.version.version)
    assert rollback.rollback(project.settings, dataset, None, "who did that", dry_run=dry_run) == moved
    lines = history(project).iloc[before:]
    made = lines[["kind", "from_version", "to_version", "actor"]].to_numpy().tolist()
    outside = ["outside", strict.version.version, easy.version.version, "unknown"]
    assert made == ([] if dry_run else [outside, ["rollback", *moved, champion.actor()]])
    if not dry_run:
        assert "by other means" in lines.iloc[0]["reason"]
        assert "outside: in place of version" in tracking.text(project.tracking, easy.champion.run_id, card.FILE)
    promote.override(project.settings, dataset, easy.version.version, "as it was")


def test_a_move_by_hand_to_where_the_alias_was_set_keeps_its_reason(
    project: Project, strict: After, easy: After
) -> None:
    dataset = project.config().dataset
    promote.override(project.settings, dataset, strict.version.version, "to begin with")
    set_champion(project, easy.version.version)
    before = len(history(project))
    promote.override(project.settings, dataset, easy.version.version, "that was Ann, and she is right")
    line = history(project).iloc[before:]
    told = ["override", strict.version.version, easy.version.version, "that was Ann, and she is right"]
    assert line[["kind", "from_version", "to_version", "reason"]].to_numpy().tolist() == [told]


def test_the_history_stays_one_chain_where_the_alias_was_deleted(project: Project, strict: After, easy: After) -> None:
    dataset, uri = project.config().dataset, project.settings.tracking_uri
    promote.override(project.settings, dataset, strict.version.version, "to begin with")
    registry.unset_alias(uri, NAME, "champion")
    promote.override(project.settings, dataset, easy.version.version, "somebody has to")
    line = history(project).iloc[-1]
    assert (line["from_version"], line["to_version"]) == (strict.version.version, easy.version.version)
    left = registry.find(uri, NAME, strict.version.version)
    assert left is not None
    assert not left.tags["daycast.served"].endswith("now")
    moved = rollback.rollback(project.settings, dataset, None, "too low", dry_run=True)
    assert moved == (easy.version.version, strict.version.version)


def test_a_version_whose_run_was_deleted_does_not_keep_the_others_from_telling(
    project: Project, strict: After, easy: After
) -> None:
    dataset, client = project.config().dataset, MlflowClient(project.settings.tracking_uri)
    for after in (strict, easy):
        promote.override(project.settings, dataset, after.version.version, "to begin with")
    client.delete_run(easy.champion.run_id)
    try:
        rollback.rollback(project.settings, dataset, strict.version.version, "too low by far", dry_run=False)
        served = {number: alias_tag(project, number) for number in (strict.version.version, easy.version.version)}
        assert served[strict.version.version].endswith("now")
        assert not served[easy.version.version].endswith("now")
        assert "too low by far" in tracking.text(project.tracking, strict.champion.run_id, card.FILE)
    finally:
        client.restore_run(easy.champion.run_id)
        promote.override(project.settings, dataset, easy.version.version, "as it was")


def alias_tag(project: Project, number: str) -> str:
    """When a version was champion, as its tag in MLflow says."""
    found = registry.find(project.settings.tracking_uri, NAME, number)
    assert found is not None
    return found.tags[champion.SERVED]


def other_than(project: Project, *runs: After) -> str:
    """A version that none of the runs promoted."""
    theirs = {after.version.version for after in runs}
    return next(v.number for v in registry.versions(project.settings.tracking_uri, NAME) if v.number not in theirs)
