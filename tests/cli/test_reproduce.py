"""`daycast reproduce` on simulated data, as it is called: its table, its run in MLflow, and how it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from tests.project import environment, lay_out
from typer.testing import CliRunner

from daycast.adapters import tracking
from daycast.cli import application
from daycast.errors import ConfigError, DataError, DaycastError
from daycast.settings import Settings
from daycast.steps import blend, ingest, progress, tune

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("reproduce")]

# The pipeline's networks learn from the one year before the window.
SMALL = ["backtest.n_folds=1", "backtest.fold_targets=60", "trainer.validation_steps=30"]
ROWS = "seasonal_naive,simple_rnn,every_step,noise_control"

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project on simulated data of 2018 and 2019, with the published rows set to it and nothing ingested."""
    made = lay_out(tmp_path_factory.mktemp("a project") / "to reproduce")
    file = made.root / "conf" / "reproduce" / "published.yaml"
    told = yaml.safe_load(file.read_text())
    told.update(dataset="tiny", first="2018-01-01")
    for name in ("seasonal_naive", "p1_last_of_type"):
        told["rows"][name]["start"] = "2018-01-01"
    told["quick"]["max_epochs"] = 2
    (made.root / "conf" / "model" / "blend.yaml").write_text(
        yaml.safe_dump({"blend": {"family": "blend", "members": ["naive", "day_type_naive"]}})
    )
    for row in told["rows"].values():
        if row.get("tuned") in ("gru", "lstm"):
            row["tuned"] = "gru" if row["title"].startswith("SimpleRNN(32) +") else "naive"
    file.write_text(yaml.safe_dump(told, sort_keys=False))
    return made


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    """Call the command in this process."""

    def asked(*words: str) -> Result:
        return CliRunner().invoke(application(), ["reproduce", *words], catch_exceptions=False)

    with environment(settings):
        yield asked


@pytest.fixture(scope="module")
def reproduced(settings: Settings) -> dict[str, Any]:
    """What a quick reproduction of some rows says."""
    with environment(settings):
        ingest.ingest(settings, "tiny", fetch=True)
        result = CliRunner().invoke(
            application(), ["reproduce", "--quick", "--quiet", "--json", "--rows", ROWS, *SMALL], catch_exceptions=False
        )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(ask: Ask, *words: str) -> DaycastError:
    with pytest.raises(DaycastError) as error:
        ask(*words)
    return error.value


def test_before_anything_is_ingested_it_says_how_to(ask: Ask) -> None:
    error = refused(ask, "--quick", "--quiet", "--rows", "simple_rnn")
    assert isinstance(error, DataError)
    assert "daycast ingest dataset=tiny --from FILE" in error.fix


def test_the_control_needs_no_data(ask: Ask, settings: Settings) -> None:
    assert not (settings.root / "data" / "raw" / "tiny.dvc").exists()
    done = ask("--quick", "--rows", "noise_control")
    assert done.exit_code == 0
    assert "nothing is promoted over the mean" in done.stdout


def test_a_row_that_does_not_exist_is_refused_and_the_nearest_are_named(ask: Ask) -> None:
    error = refused(ask, "--rows", "simple_rn,gru")
    assert isinstance(error, ConfigError)
    assert "`simple_rnn`" in error.fix
    assert "every_step" in error.expected


def test_every_figure_stands_beside_what_was_published(reproduced: dict[str, Any]) -> None:
    lines = {(line["row"], line["figure"]): line for line in reproduced["lines"]}
    assert [row for row, _ in lines] == [*["seasonal_naive"] * 4, "simple_rnn", *["every_step"] * 4, "noise_control"]
    network = lines["simple_rnn", "rail mae +1"]
    assert (network["published"], network["seeds"], network["by"]) == (29015, 1, "gru")
    assert network["mean"] > 0 < network["tuned"]
    assert network["spread"] is None
    assert network["measured"] is None
    assert lines["seasonal_naive", "rail mae"]["seeds"] == 0
    assert lines["noise_control", "rmse"]["published"] is None  # the noise's own deviation is nobody's figure
    assert reproduced["quick"] is True


def test_nothing_is_promoted_on_noise_and_its_error_is_that_of_the_noise(reproduced: dict[str, Any]) -> None:
    control = reproduced["controls"]["noise_control"]
    assert control["passed"]
    assert control["decision"]["winner"] == "mean"
    assert {line["model"] for line in control["leaderboard"]} > {"mean", "naive", "auto_ets", "network, seed 7"}
    assert all(line["rmse"] > 0.95 * control["own_rmse"] for line in control["leaderboard"])


def test_it_is_one_run_in_mlflow_with_its_table_and_its_picture(
    reproduced: dict[str, Any], ask: Ask, settings: Settings
) -> None:
    where = tracking.Tracking(settings.tracking_uri, settings.embedded_artifacts)
    run = tracking.find(where, reproduced["run_id"])
    assert run.status == "FINISHED"
    assert run.metrics["simple_rnn.rail_mae_1.published"] == 29015
    assert run.metrics["simple_rnn.rail_mae_1.ours"] > 0
    assert len(run.tags["daycast.data_version"]) == 32
    assert tracking.text(where, run.run_id, "reproduction.csv").count("\n") == 1 + len(reproduced["lines"])
    assert "mean" in tracking.text(where, run.run_id, "noise_control/leaderboard.csv")
    assert Path(reproduced["picture"]).stat().st_size > 5000
    again = ask("--quick", "--quiet", "--json", "--rows", ROWS, *SMALL)
    assert json.loads(again.stdout)["run_id"] == run.run_id
    assert json.loads(again.stdout)["lines"] == reproduced["lines"]


@pytest.mark.usefixtures("reproduced")
def test_an_interrupted_one_goes_on_with_the_seed_that_it_stopped_in(ask: Ask) -> None:
    words = ("--quick", "--quiet", "--json", "--rows", "bare_rnn", "--seeds", "3", *SMALL)
    learned: list[str] = []

    def stop(event: progress.Event) -> None:
        if event.subject.endswith("seed 8") and "epoch 2" in event.note:
            raise KeyboardInterrupt

    def listen(event: progress.Event) -> None:
        if event.note.startswith("epoch"):
            learned.append(event.subject)

    with progress.listening(stop):
        assert ask(*words).exit_code != 0
    with progress.listening(listen):
        done = ask(*words)
    assert set(learned) == {"bare_rnn, seed 8", "bare_rnn, seed 9"}
    (line,) = json.loads(done.stdout)["lines"]
    assert line["seeds"] == 3
    assert line["low"] < line["mean"] < line["high"]


@pytest.mark.usefixtures("reproduced")
def test_people_get_a_table_with_what_differs(ask: Ask) -> None:
    done = ask("--quick", "--quiet", "--rows", "every_step", *SMALL)
    assert done.exit_code == 0
    assert "25,519" in done.stdout
    assert "stopped on the MAE at every step" in done.stdout
    assert "whose figures mean nothing" in done.stdout
    assert "Measured before" not in done.stdout


@pytest.mark.usefixtures("reproduced")
def test_a_blends_members_are_chosen_and_fitted_before_it_and_none_is_chosen_again(
    ask: Ask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--quick", "--quiet", "--rows", "p1_blend,p1_last_of_type", *SMALL)
    done = ask(*words, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    naive, blended = found["lines"]
    assert (naive["row"], naive["measured"], naive["by"]) == ("p1_last_of_type", 30001, "")
    assert naive["off"] == pytest.approx(naive["mean"] / 30001 - 1)
    assert (blended["measured"], blended["by"], blended["mean"], blended["off"]) == (18377, "blend", None, None)
    assert blended["tuned"] > 0
    where = tracking.Tracking(settings.tracking_uri, settings.embedded_artifacts)
    assert tracking.find(where, found["run_id"]).metrics["p1_blend.rail_mae_1.measured"] == 18377

    def refuse(*_: object) -> None:
        raise AssertionError("chosen again")

    shutil.rmtree(settings.state / "cache" / "backtest")
    monkeypatch.setattr(tune, "tune", refuse)
    monkeypatch.setattr(blend, "weigh", refuse)
    again = ask(*words)
    assert again.exit_code == 0
    assert "Measured before: for this project" in again.stdout
    assert "18,377" in again.stdout
