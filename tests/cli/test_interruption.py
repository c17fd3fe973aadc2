"""Ctrl-C in the middle of a search, as a terminal sends it; then the same command again, and what can be asked then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.project import environment, lay_out
from tests.sessions import processes
from typer.testing import CliRunner

from daycast.cli import application, summary
from daycast.settings import Settings
from daycast.steps.outcomes import Outcome

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("interruption")]

# A fit without early stopping, long enough to be interrupted in.
ASKED = ["model=[naive,gru]", "trainer.max_epochs=25", "trainer.patience=25"]


def command(*words: str, at: Path) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "daycast", *words],
        cwd=at,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a session of its own is one job of a terminal, and tells who belongs to it
    )


def alive(session: int) -> list[str]:
    """Command lines of a session's processes."""
    return [words for _, words in processes(session).values()]


@dataclass
class Story:
    """A run that was interrupted, and the one after it."""

    settings: Settings
    code: int
    seconds: float
    told: str
    left: list[str]
    kept: dict[Path, int]  # files of the cache as they were left, with their times
    again: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    settings = lay_out(tmp_path_factory.mktemp("a project") / "to interrupt")
    first = command("run", *ASKED, at=settings.root)
    assert first.stderr is not None
    before = []
    for line in first.stderr:
        before.append(line)
        if line.startswith("tune gru: trial 1"):
            break
    else:
        pytest.fail(f"it ended before it could be interrupted, with {first.wait()}:\n{''.join(before)}")
    since = time.monotonic()
    os.killpg(first.pid, signal.SIGINT)
    told = first.communicate(timeout=120)[1]
    seconds, left = time.monotonic() - since, alive(first.pid)
    kept = {file: file.stat().st_mtime_ns for file in (settings.state / "cache").rglob("*.*")}
    second = command("run", *ASKED, "--quiet", "--json", at=settings.root)
    out, err = second.communicate(timeout=300)
    again = subprocess.CompletedProcess(ASKED, second.returncode, out, err)
    return Story(settings, first.returncode, seconds, told, left, kept, again)


@pytest.fixture
def ask(story: Story) -> Iterator[Any]:
    """Ask for something in the project, in this process."""

    def asked(*words: str) -> str:
        result = CliRunner().invoke(application(), list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    with environment(story.settings):
        yield asked


DEAF = """
import subprocess, threading, time
from daycast.cli import interrupt
interrupt.GRACE_S = {grace}
with interrupt.handled():
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    threading.Thread(target=time.sleep, args=(300,)).start()
    print(child.pid, flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize(("grace", "signals"), [(0.5, 1), (300, 2)])
def test_what_does_not_hear_is_ended_after_a_while_or_by_a_second_ctrl_c(grace: float, signals: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF.format(grace=grace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    for _ in range(signals):
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert alive(child) == []


def test_ctrl_c_ends_a_search_soon_and_says_how_to_go_on(story: Story) -> None:
    assert story.code == 130
    assert story.seconds < 20
    assert "the same command goes on where this one stopped" in story.told
    assert "Traceback" not in story.told
    assert "Error" not in story.told


def test_ctrl_c_leaves_no_process_behind(story: Story) -> None:
    assert story.left == []


def test_the_same_command_goes_on_with_what_was_done(story: Story) -> None:
    assert story.again.returncode == 0, story.again.stderr
    assert [file for file in story.kept if file.name == "trials.json"]  # the search of naive, at least
    assert [file for file, time in story.kept.items() if file.stat().st_mtime_ns != time] == []


def test_a_quiet_run_for_machines_is_one_document_and_nothing_else(story: Story) -> None:
    assert story.again.stderr == ""
    told = json.loads(story.again.stdout)
    assert {line["model"] for line in told["leaderboard"]} == {"naive", "gru"}
    assert {t["model"]: t["n_trials"] for t in told["tuned"]} == {"naive": 1, "gru": 2}
    assert told["decision"]["reasons"]
    assert told["forecast"]["n_rows"] == told["forecast"]["new_rows"] == len(told["forecast"]["forecast"]) == 14


def test_a_run_for_people_ends_with_what_was_promoted_and_where_all_lies(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(story.again.stdout)
    names = ("data", "run", "tuned", "board", "champion")
    summary.show(story.settings, Outcome.model_validate({name: told[name] for name in names}))
    shown = capsys.readouterr().out
    assert "Leaderboard: tiny" in shown
    assert f"Champion: {told['champion']['model']} is version 1" in shown
    assert told["decision"]["reasons"][0] in shown
    assert told["run"]["run_id"] in shown
    assert "daycast ui" in shown


def test_the_leaderboard_is_that_of_the_newest_run(story: Story, ask: Any) -> None:
    told = json.loads(ask("leaderboard", "dataset=tiny", "--json"))
    again = json.loads(story.again.stdout)
    assert (told["run_id"], told["leaderboard"]) == (again["run"]["run_id"], again["leaderboard"])
    assert told["run_id"] in ask("leaderboard")


def test_a_promotion_is_explained_and_repeating_it_changes_nothing(ask: Any) -> None:
    told = json.loads(ask("promote", "--dry-run", "--json"))
    assert told["promoted"] is False
    assert told["decision"]["reasons"]
    champion = told["version"]
    for given in (("--dry-run",), ()):
        shown = ask("promote", *given)
        assert f"Champion already: {champion['model']} is version {champion['version']} of" in shown
        assert "would be" not in shown
    assert json.loads(ask("promote", "--json"))["version"] == told["version"]


@pytest.mark.parametrize(("changed", "state"), [((), "cached"), (("seed=8",), "to run")], ids=str)
def test_a_dry_run_says_what_is_cached(story: Story, changed: tuple[str, ...], state: str) -> None:
    # In a process of its own: in this one, Prefect may have read its settings in a project of another test.
    out, err = command("run", *ASKED, *changed, "--dry-run", "--json", at=story.settings.root).communicate(timeout=120)
    told = {line["model"]: {step: line[step] for step in line if step != "model"} for line in json.loads(out)}
    assert set(told) == {"naive", "gru"}, err
    assert set(told["gru"].values()) == {state}
    assert set(told["naive"].values()) == {"cached"}  # no seed is used in it


def test_validate_tells_people_what_was_found_and_where_it_lies(ask: Any) -> None:
    told = json.loads(ask("validate", "--json"))
    shown = {line[:18].strip(): line[18:].strip() for line in ask("validate").splitlines() if line.startswith("  ")}
    checks = told["report"]["checks"]
    assert told["ran"] is False
    assert {name: shown[name] for name in ("rows", "series", "days", "gaps")} == {
        "rows": "730",
        "series": "2",
        "days": "730",
        "gaps": "0",
    }
    assert shown["exact duplicates"] == "0, dropped"
    assert (shown["first"], shown["last"]) == ("2018-01-01", "2019-12-31")
    assert shown["flagged extremes"].startswith(f"{sum(map(len, told['report']['flagged'].values()))}, kept")
    assert shown["checks passed"] == f"{len(checks)} of {len(checks)}"
    assert Path(shown["report"]).is_file()
    assert Path(shown["Data Docs"]).is_file()


@pytest.mark.parametrize("words", [["validate"], ["prepare"], ["leaderboard"], ["promote", "--dry-run"]], ids=" ".join)
def test_every_command_can_be_quiet_and_tell_machines(ask: Any, words: list[str]) -> None:
    assert json.loads(ask(*words, "--quiet", "--json"))


def test_the_data_of_a_run_come_back(story: Story, ask: Any) -> None:
    run = json.loads(ask("leaderboard", "--json"))["run_id"]
    file = story.settings.root / "data/prepared/tiny.parquet"
    before = file.read_bytes()
    file.unlink()
    told = json.loads(ask("data", "restore", "--run", run, "--json"))
    assert told["dataset"] == "tiny"
    assert file.read_bytes() == before
