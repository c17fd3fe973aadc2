"""What fits together in the section of recurrent networks, and how it is told what doesn't: with its path in YAML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from daycast.config import Recurrent, compose
from daycast.config.faults import faults as told_of
from daycast.config.recurrent import Cell
from daycast.errors import ConfigError
from daycast.models.layers import LAYERS

DILATED = "{kind:dilated,filters:4,kernel:2,dilations:[1,2]}"
NO_LAYERS = ["model.gru.layers=0", f"model.gru.front={DILATED}"]
BOTH = "model.gru.bidirectional=true"
SEQ2SEQ = "model.gru.output=seq2seq"
PROFILE = (
    "model.gru.profile={by:[day_type],window:4,statistic:median,enough:null,newest:null,"
    "analogs:1,year:364,means:[7],growth:[],closed:null}"
)


def values(root: Path, *overrides: str) -> dict[str, Any]:
    """Those of ``gru.yaml`` with overrides such as Hydra takes them, without composing all of it."""
    told: dict[str, Any] = yaml.safe_load((root / "conf/model/gru.yaml").read_text())["gru"]
    for override in overrides:
        name, value = override.removeprefix("model.gru.").split("=", 1)
        told[name] = yaml.safe_load(re.sub(r"([:,{])(?=\S)", r"\1 ", value))
    return told


def gru(root: Path, *overrides: str) -> Recurrent:
    return Recurrent.model_validate_json(json.dumps(values(root, *overrides)))


def faults(root: Path, *overrides: str) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        gru(root, *overrides)
    return told_of(Recurrent, caught.value, {"model.gru": "here"}, "model.gru")


def changed(root: Path, **given: Any) -> Recurrent:
    return gru(root).with_parameters(given)


def test_every_layer_has_its_name_in_the_configuration_and_no_other() -> None:
    assert set(get_args(Cell)) == set(LAYERS)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.gru.layers=3", "model.gru.cell=[lstm,rnn,lstm]", "model.gru.hidden=[32,16,16]"],
        ["model.gru.layers=2", "model.gru.cell=[ln_gru,peephole_lstm]", BOTH],
        [SEQ2SEQ, "model.gru.teacher_forcing=0.5", "model.gru.attention=additive", BOTH],
        ["model.gru.front={kind:conv,filters:8,kernel:28,stride:3}", "model.gru.output=every_step"],
        [*NO_LAYERS, "model.gru.output=every_step"],
        [*NO_LAYERS, "model.gru.cell=[]", "model.gru.hidden=[]"],
        ["model.gru.loss=pinball", "model.gru.quantiles=[0.1,0.5,0.9]"],
        ["model.gru.loss=mape", "model.gru.transforms=[{kind:scale,method:mean,log1p:false}]"],
        ["model.gru.horizon=1", "model.gru.inputs=each", "model.gru.embedding=4", "model.gru.weights=last"],
        [PROFILE, "model.gru.lead=1", "model.gru.loss=student_t"],
    ],
)
def test_what_fits_together_is_taken_and_comes_back_from_json_as_it_was(root: Path, overrides: list[str]) -> None:
    model = gru(root, *overrides)
    assert Recurrent.model_validate_json(model.model_dump_json()) == model
    assert model.with_parameters({}).model_copy(update={"search": model.search}) == model


@pytest.mark.parametrize(
    ("overrides", "path", "told"),
    [
        (["model.gru.cell=[gru,lstm]"], "cell", "a list of 1, one per layer"),
        (["model.gru.cell=[gru]", "model.gru.layers=2"], "cell", "a list of 2, one per layer"),
        (["model.gru.hidden=[8,8]"], "hidden", "a list of 1, one per layer"),
        (["model.gru.cell=grue"], "cell", "Input should be 'rnn'"),
        (["model.gru.cell=[grue]"], "cell.0", "Input should be 'rnn'"),
        (["model.gru.hidden=[0]"], "hidden.0", "greater than or equal to 1"),
        (["model.gru.cell=ln_gru", "model.gru.hidden=1"], "hidden", "layer normalisation leaves nothing"),
        (["model.gru.layers=0"], "layers", "without a front of kind `dilated`"),
        ([*NO_LAYERS, BOTH], "bidirectional", "there is no recurrence"),
        ([*NO_LAYERS, SEQ2SEQ], "output", "seq2seq needs a recurrence"),
        (["model.gru.front={kind:conv,filters:4,kernel:29,stride:2}"], "front.kernel", "lookback of 28"),
        (["model.gru.front={kind:conv,filters:0,kernel:3,stride:2}"], "front.filters", "greater than or equal to 1"),
        (["model.gru.front={kind:dilated,filters:4,kernel:1,dilations:[1]}"], "front.kernel", "equal to 2"),
        (["model.gru.front={kind:dilated,filters:4,kernel:2,dilations:[]}"], "front.dilations", "at least 1 item"),
        (["model.gru.front={kind:pool,filters:4}"], "front", "'kind' should be one of 'conv', 'dilated'"),
        (["model.gru.output=every_step", BOTH], "bidirectional", "told the values that it forecasts"),
        (["model.gru.teacher_forcing=0.5"], "teacher_forcing", "expected 0 with output direct"),
        (["model.gru.attention=dot"], "attention", "expected null with output direct"),
        (["model.gru.embedding=4"], "embedding", "expected 0 with inputs joint"),
        (["model.gru.weights=first"], "weights", "Input should be 'best' or 'last'"),
        (["model.gru.loss=pinball"], "quantiles", "ascending levels with 0.5"),
        (["model.gru.loss=pinball", "model.gru.quantiles=[0.1,0.9]"], "quantiles", "with 0.5 among them"),
        (["model.gru.loss=pinball", "model.gru.quantiles=[0.5,0.1]"], "quantiles", "ascending"),
        (["model.gru.loss=pinball", "model.gru.quantiles=[0.5,0.5]"], "quantiles", "ascending"),
        (["model.gru.quantiles=[0.5]"], "quantiles", "expected [] with loss huber"),
        (["model.gru.loss=pinball", "model.gru.quantiles=[0.5,1]"], "quantiles.1", "less than 1"),
        (["model.gru.loss=mape"], "loss", "values that stay positive"),
        (["model.gru.transforms=[{kind:difference,lags:[7]}]"], "transforms", "the last one must be a scale"),
        (
            [PROFILE, "model.gru.transforms=[{kind:difference,lags:[7]}]"],
            "transforms",
            "no difference beside a profile",
        ),
    ],
)
def test_a_fault_has_the_path_that_yaml_has(root: Path, overrides: list[str], path: str, told: str) -> None:
    found = faults(root, *overrides)
    assert [line for line in found if line.startswith(f"model.gru.{path} (here): ") and told in line], found


def test_all_faults_of_a_network_are_told_at_once(root: Path) -> None:
    found = faults(root, "model.gru.attention=dot", "model.gru.loss=pinball", "model.gru.cell=[gru,gru]")
    assert [line.split(" ")[0] for line in found] == [f"model.gru.{n}" for n in ("cell", "attention", "quantiles")]


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("{output:{kind:choice,values:[direct,seq2seq,dense,every_step]}}", None),
        ("{cell:{kind:choice,values:[lstm,ln_rnn]},layers:{kind:int,low:1,high:3}}", None),
        ("{attention:{kind:choice,values:[dot]}}", "search.attention"),
        ("{layers:{kind:int,low:0,high:2}}", "search.layers"),
        ("{cell:{kind:choice,values:[lstm,elman]}}", "search.cell"),
        ("{dropout:{kind:float,low:0.5,high:1.0}}", "search.dropout"),
        ("{horizon:{kind:int,low:1,high:2}}", "search.horizon"),
        ("{hidden:{kind:int,low:9,high:8}}", "search.hidden"),
    ],
)
def test_only_what_makes_a_sound_network_may_be_searched(root: Path, search: str, told: str | None) -> None:
    override = f"model.gru.search={search}"
    if told is None:
        assert gru(root, override).search
    else:
        (found,) = faults(root, override)
        assert found.startswith(f"model.gru.{told} (here): ")


def test_a_trial_is_checked_as_the_model_is(root: Path) -> None:
    assert changed(root, hidden=8).hidden == 8
    with pytest.raises(ValueError, match="attention: expected null"):
        changed(root, attention="dot")


def test_an_own_horizon_may_not_exceed_what_is_held_out_to_stop_by(root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(root, ["model=[naive,gru]", "model.gru.horizon=120", "trainer.validation_steps=120"])
    assert caught.value.found.strip().startswith("trainer.validation_steps (the command line): ")
    assert changed(root, horizon=3).steps(14) == 3
    assert changed(root, horizon=None).steps(14) == 14


def test_a_fault_among_several_kinds_of_model_has_its_path_too(root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(root, ["model=[naive,gru]", "model.gru.cell=[grue]", "model.gru.front={kind:conv,filters:4,kernel:3}"])
    told = [line.strip().split(": ")[0] for line in caught.value.found.strip().splitlines()]
    assert told == [f"model.gru.{path} (the command line)" for path in ("cell.0", "front.stride")]


@pytest.mark.parametrize(("forced", "learned"), [(0.0, True), (0.5, False)])
def test_a_decoder_taught_with_the_truth_learns_no_quantiles_of_forecasts(
    root: Path, forced: float, learned: bool
) -> None:
    told = ["model=[naive,seq2seq]", "model.seq2seq.loss=gaussian", f"model.seq2seq.teacher_forcing={forced}"]
    model = compose(root, told).model["seq2seq"]
    assert isinstance(model, Recurrent)
    assert model.distributional(14) == learned
