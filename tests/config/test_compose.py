"""Hydra composes, pydantic checks: every shipped value, and every kind of mistake."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from tests.conftest import ROOT

from daycast.config import Config, compose, config_hash, dataset_only
from daycast.errors import ConfigError

GROUPS = ("dataset", "model", "backtest", "tuning", "trainer", "promotion", "alert")
SHIPPED = [(g, file.stem) for g in GROUPS for file in sorted((ROOT / "conf" / g).glob("*.yaml"))]


def sections(model: type[BaseModel], seen: set[type] | None = None) -> Iterator[type[BaseModel]]:
    """A section and all sections below it."""
    seen = seen if seen is not None else set()
    if model in seen:
        return
    seen.add(model)
    yield model
    stack = [field.annotation for field in model.model_fields.values()]
    while stack:
        kind = stack.pop()
        stack += list(getattr(kind, "__args__", ()))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from sections(kind, seen)


def refused(*overrides: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        compose(ROOT, overrides)
    return error.value


@pytest.mark.parametrize(("group", "choice"), SHIPPED)
def test_every_shipped_choice_composes(group: str, choice: str) -> None:
    members = yaml.safe_load((ROOT / f"conf/{group}/{choice}.yaml").read_text()).get(choice, {}).get("members", [])
    value = f"[{','.join(['seasonal_naive', *members, choice])}]" if group == "model" else choice
    extra = ["model=[seasonal_naive]"] if group == "dataset" else []
    made = compose(ROOT, [f"{group}={value}", *extra])
    assert getattr(getattr(made, group), "name", choice) == choice or group == "model"
    assert choice in made.model or group != "model"


def test_every_field_is_described() -> None:
    found = list(sections(Config))
    assert len(found) > 15
    bare = [(s.__name__, f) for s in found for f, field in s.model_fields.items() if not field.description]
    # The tag that tells one kind of source, space, transform or family from another describes itself.
    assert [b for b in bare if b[1] not in ("kind", "family")] == []


def test_the_grammar_of_the_readme() -> None:
    made = compose(ROOT, ["dataset=cta", "model=[gru,sarima,naive]", "tuning.n_trials=30"])
    assert (made.dataset.name, list(made.model), made.tuning.n_trials) == ("cta", ["gru", "sarima", "naive"], 30)


@pytest.mark.parametrize(
    ("override", "near"),
    [("tuning.n_trial=3", "tuning.n_trials"), ("trainr.patience=3", "trainer.patience"), ("modle=gru", "model")],
)
def test_an_unknown_key_names_the_nearest(override: str, near: str) -> None:
    assert f"`{near}`" in refused(override).expected


def test_an_unknown_choice_names_the_nearest_and_all() -> None:
    error = refused("dataset=ctaa")
    assert "cta, cta_stations, sample" in error.expected
    assert "`cta`" in error.fix


def test_all_faults_are_told_at_once_with_their_paths() -> None:
    found = refused("tuning.n_trials=x", "trainer.patience=0", "model.gru.hidden=-1").found
    for path in ("tuning.n_trials", "trainer.patience", "model.gru.hidden"):
        assert path in found


@pytest.mark.parametrize("override", ['tuning.n_trials="3"', "trainer.deterministic=1", "promotion.margin='0.1'"])
def test_nothing_is_coerced(override: str) -> None:
    assert override.split("=")[0] in refused(override).found


def test_a_dataset_can_not_be_overridden_behind_the_back_of_dvc() -> None:
    error = refused("dataset.floor=3")
    assert "DVC" in error.expected
    assert "conf/dataset/" in error.fix


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["model=[gru]"], "naive baseline"),
        (["backtest.n_targets=3"], "below horizon"),
        (["dataset=cta", "backtest=p1", "backtest.series=[tram]"], "tram"),
        (["trainer.validation_steps=14"], "validation_steps"),
        (["model.gru.transforms=[{kind: difference, lags: [7]}]"], "scale"),
        (["backtest.first_target=2019-01-01"], "either"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused(overrides: list[str], text: str) -> None:
    assert text in refused(*overrides).found


def test_hydras_own_complaints_are_ours() -> None:
    assert refused("tuning.n_trials=[")
    assert refused("tuning")


def test_a_value_left_out_of_a_file_is_missing_not_guessed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    file = tmp_path / "conf" / "promotion" / "default.yaml"
    file.write_text("name: default\n")
    with pytest.raises(ConfigError) as error:
        compose(tmp_path)
    assert "promotion.margin" in error.value.found
    assert "promotion.significance" in error.value.found


def test_a_gate_that_was_copied_has_a_name_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    copied = tmp_path / "conf/promotion/mine.yaml"
    shutil.copyfile(copied.with_name("living.yaml"), copied)
    with pytest.raises(ConfigError, match="write `name: mine` there"):
        compose(tmp_path, ["promotion=mine"])
    copied.write_text(copied.read_text().replace("name: living", "name: mine"))
    assert compose(tmp_path, ["promotion=mine"]).promotion.name == "mine"


def test_the_configuration_is_frozen() -> None:
    made = compose(ROOT)
    with pytest.raises(ValueError, match="frozen"):
        made.seed = 3


def test_the_hash_tells_results_apart_and_not_places() -> None:
    base, other, elsewhere = (
        config_hash(compose(ROOT, overrides)) for overrides in ([], ["seed=8"], ["runner.workers=7"])
    )
    assert base == elsewhere != other


def test_the_dataset_alone_is_the_dataset_of_the_whole() -> None:
    for _, name in itertools.takewhile(lambda pair: pair[0] == "dataset", SHIPPED):
        assert dataset_only(ROOT, name) == compose(ROOT, [f"dataset={name}", "model=[naive]"]).dataset


def test_what_is_printed_is_what_was_composed() -> None:
    made = compose(ROOT)
    again = yaml.safe_load(yaml.safe_dump(made.model_dump(mode="json")))
    assert again["tuning"]["n_trials"] == made.tuning.n_trials
    assert Config.model_json_schema()["properties"].keys() == again.keys()
