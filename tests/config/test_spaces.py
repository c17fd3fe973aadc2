"""What may be searched of each family, and what is refused before any trial runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from daycast.config import Config, Model, Recurrent, compose
from daycast.config.faults import faults as told_of
from daycast.config.search import Searchable, Space, Variants
from daycast.errors import ConfigError

SCALE = {"kind": "scale", "method": "standard", "log1p": False}
LAG7 = {"kind": "difference", "lags": [7]}
RECIPES = {"standard": {"transforms": [SCALE]}, "lag7": {"transforms": [LAG7, SCALE]}}
QUANTILES = {"huber": {"loss": "huber", "quantiles": []}, "pinball": {"loss": "pinball", "quantiles": [0.1, 0.5, 0.9]}}


def variants(values: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "variants", "values": values}


def choice(*values: Any) -> dict[str, Any]:
    return {"kind": "choice", "values": list(values)}


def shipped(root: Path, name: str, **changes: Any) -> Any:
    """A model of ``conf/model`` with values changed."""
    told = yaml.safe_load((root / f"conf/model/{name}.yaml").read_text())[name] | changes
    return TypeAdapter(Model).validate_json(json.dumps(told))


def faults(root: Path, **search: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Recurrent.model_validate_json(
            json.dumps(json.loads(shipped(root, "gru").model_dump_json()) | {"search": search})
        )
    return told_of(Recurrent, caught.value, {"model.gru": "here"}, "model.gru")


def searchable(root: Path) -> dict[str, Searchable]:
    names = sorted(file.stem for file in (root / "conf/model").glob("*.yaml"))
    return {n: model for n in names if isinstance(model := shipped(root, n), Searchable)}


def test_every_shipped_family_that_is_fitted_has_a_space_that_holds_its_configured_values(root: Path) -> None:
    found = searchable(root)
    assert {m.family for m in found.values()} == {
        "recurrent", "lightgbm", "linear", "sarima", "auto_arima", "auto_ets", "mstl"
    }  # fmt: skip
    for name, model in found.items():
        assert model.start(20).keys() == model.search.keys() != set(), name
        assert model.with_parameters(model.start(20)) == model.with_parameters({}), name


NETWORK = {"lookback", "dropout", "learning_rate", "schedule", "batch_size", "loss", "train_steps", "transforms"}
LEARNED = {"loss", "learning_rate", "rounds", "leaves", "lags", "train_steps", "transforms"}
DIMENSIONS = {"lightgbm": LEARNED, "linear": {"penalty", "lags", "train_steps", "transforms"}}


def test_the_space_of_each_family_holds_what_it_can_vary(root: Path) -> None:
    for name, model in searchable(root).items():
        wanted = DIMENSIONS.get(model.family, {"train_steps"})
        if isinstance(model, Recurrent):
            wanted = NETWORK | ({"hidden", "layers"} if model.layers else {"front"})
        variants = [space for space in model.search.values() if isinstance(space, Variants)]
        varied = set(model.search).union(*(fields for space in variants for fields in space.values.values()))
        assert wanted - varied == set(), name


def test_a_quick_search_tries_few_things_and_a_thorough_one_all(root: Path) -> None:
    gru, trees = shipped(root, "gru"), shipped(root, "lightgbm")
    quick, thorough = (compose(root, ["model=[naive,gru]", f"tuning={t}"]).tuning for t in ("quick", "thorough"))
    assert list(gru.space(quick.n_trials)) == ["lookback", "hidden", "learning_rate", "dropout"]
    assert gru.space(thorough.n_trials) == gru.search
    assert {"layers", "batch_size", "schedule", "train_steps", "loss", "transforms"} < gru.search.keys()
    assert trees.space(quick.n_trials) == {}
    assert trees.space(thorough.n_trials) == trees.search
    assert gru.space(0) == {}


def test_a_variant_puts_all_its_fields_in_place_and_is_known_by_its_name(root: Path) -> None:
    model = shipped(root, "gru", search={"transforms": variants(RECIPES), "loss": variants(QUANTILES)})
    assert model.start(20) == {"transforms": "standard", "loss": "huber"}
    made = model.with_parameters({"transforms": "lag7", "loss": "pinball"})
    assert [step.kind for step in made.transforms] == ["difference", "scale"]
    assert (made.loss, made.quantiles) == ("pinball", (0.1, 0.5, 0.9))
    assert made.search == {}


def test_a_field_inside_a_section_is_named_by_its_path(root: Path) -> None:
    model = shipped(root, "lightgbm", search={"profile.window": {"kind": "int", "low": 2, "high": 8, "step": 2}})
    assert model.start(20) == {"profile.window": 6}
    assert model.with_parameters({"profile.window": 4}).profile.window == 4
    assert model.profile.window == 6


@pytest.mark.parametrize(
    ("field", "value", "space"),
    [
        ("hidden", 40, choice(32, 48)),
        ("lookback", 60, {"kind": "int", "low": 7, "high": 56}),
        ("lookback", 30, {"kind": "int", "low": 7, "high": 56, "step": 7}),
        ("dropout", 0.5, {"kind": "float", "low": 0.0, "high": 0.3}),
        ("transforms", [SCALE | {"method": "robust"}], variants(RECIPES)),
        ("hidden", [48], choice(32, 48)),
    ],
)
def test_a_configured_value_outside_of_the_space_is_no_start(root: Path, field: str, value: Any, space: Any) -> None:
    model = shipped(root, "gru", **{field: value}, search={field: space, "train_steps": choice(1461, None)})
    assert model.start(20) == {"train_steps": None}


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"recipe": variants({"a": {"transfroms": [SCALE]}})}, "recipe (here): `transfroms` is no field of this model"),
        ({"profile.window": choice(4)}, "profile.window (here): not a field of this model that can be searched"),
        ({"horizon": choice(1)}, "horizon (here): not a field of this model that can be searched"),
        ({"a": variants({"x": {"clip": 2.0}}), "clip": choice(2.0)}, "clip (here): `clip` is searched by `a` already"),
        ({"t": variants({"a": {"loss": "mae"}, "b": {"lookback": 7}})}, "t (here): expected the same fields in each"),
        ({"of_y": variants({"raw": {"transforms": [LAG7]}})}, "of_y (here): 'raw' is refused: transforms: the"),
        ({"loss": choice("huber", "pinball")}, "loss (here): 'pinball' is refused: quantiles: the pinball loss needs"),
        ({"loss": variants({"a": {"loss": "mape"}})}, "loss (here): 'a' is refused: loss: mape needs values"),
        ({"lookback": {"kind": "int", "low": 9, "high": 8}}, "lookback (here): low 9 is above high 8"),
        ({"lookback": choice(7) | {"from_trials": 0}}, "lookback.from_trials (here): Input should be greater"),
        (
            {"layers": choice(1, 2), "cells": variants({"a": {"cell": "gru"}, "b": {"cell": ["lstm"]}})},
            "layers (here): 2 with cells 'b' is refused: cell: expected one value or a list of 2",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_searched_is_told_before_any_trial(root: Path, search: dict[str, Any], told: str) -> None:
    (found,) = faults(root, **search)
    assert found.startswith(f"model.gru.search.{told}")


def test_columns_of_a_variant_are_checked_against_the_dataset_too(root: Path) -> None:
    config = compose(root, ["model=[naive,sarima,gru]"])
    spaces = {
        "sarima": variants({"a": {"known": ["day_type"]}, "b": {"known": ["rain"]}}),
        "gru": variants({"all": {"known": None}, "sun": {"known": ["sunshine"]}}),
    }
    told = json.loads(config.model_dump_json())
    for name, space in spaces.items():
        told["model"][name]["search"] = {"known": space}
    with pytest.raises(ValidationError) as caught:
        Config.model_validate_json(json.dumps(told))
    assert "model.sarima: column `rain`" in str(caught.value)
    assert "model.gru: column `sunshine`" in str(caught.value)
    told["model"]["sarima"]["search"] = {"o": variants({"a": {"order": [7, 0, 0], "seasonal_order": [1, 0, 0]}})}
    told["model"]["gru"]["search"] = {}
    with pytest.raises(ValidationError, match=r"model.sarima: expected p and q below"):
        Config.model_validate_json(json.dumps(told))


def test_a_changed_model_must_suit_what_is_searched_and_no_more(root: Path) -> None:
    levels = "model.gru.quantiles=[0.025,0.1,0.5,0.9,0.975]"
    given = ["model=[naive,gru]", "model.gru.loss=pinball", levels]
    assert isinstance(compose(root, [*given, "tuning=quick"]).model["gru"], Recurrent)
    with pytest.raises(ConfigError) as caught:
        compose(root, [*given, "tuning=thorough"])
    told = caught.value.found.strip().splitlines()
    assert told[0].strip().startswith("model.gru.search.loss (conf/model/gru.yaml")
    assert "'huber' is refused: quantiles: expected [] with loss huber" in told[0]
    assert "loss" not in compose(root, [*given, "tuning=thorough", "~model.gru.search.loss"]).model["gru"].search  # type: ignore[union-attr]


def test_every_shipped_space_suits_its_model_in_a_thorough_search(root: Path) -> None:
    for name, model in searchable(root).items():
        assert model.value_faults(60) == [], name


def test_alternatives_of_the_command_line_reach_the_space(root: Path) -> None:
    given = "+model.sarima.search.update={kind:choice,values:[filter,refit]}"
    model = compose(root, ["model=[naive,sarima]", given]).model["sarima"]
    assert isinstance(model, Searchable)
    assert model.start(20)["update"] == "filter"
    with pytest.raises(ConfigError, match=r"search\.budget_s"):
        compose(root, ["model=[naive,sarima]", "+model.sarima.search.budget_s={kind:choice,values:[1.0]}"])


def test_a_schema_documents_spaces() -> None:
    told = json.dumps(TypeAdapter(Space).json_schema())
    assert "a search of fewer trials leaves this as it is configured" in told
    assert "name, which trials and plots show -> field of the model -> value" in told
