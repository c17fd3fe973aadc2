"""What the trainer's section does to a fit, on a CPU; ``test_ranks`` has several processes, ``test_gpu`` a GPU."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from synthetic import fitted, network, origin, table, trainer, weekly
from torch.optim.optimizer import register_optimizer_step_pre_hook

from daycast.errors import ConfigError

CASES = {
    "direct": {"inputs": "each", "dropout": 0.1},
    "seq2seq": {"output": "seq2seq", "attention": "dot", "teacher_forcing": 0.3},
    "every_step": {"output": "every_step", "inputs": "each"},
    "dilated": {
        "cell": "lstm",
        "front": {"kind": "dilated", "filters": 4, "kernel": 2, "dilations": (1, 2)},
        "loss": "pinball",
        "quantiles": (0.1, 0.5, 0.9),
    },
    "own cell": {"cell": "ln_gru", "front": {"kind": "conv", "filters": 4, "kernel": 3, "stride": 2}},
}


@pytest.fixture(scope="module")
def made():
    return table(weekly(n=3, steps=400))


def rates(made, config, **changes):
    """The learning rate of each training step."""
    found = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: found.append(optimizer.param_groups[0]["lr"]))
    try:
        report = fitted(made, config, **changes)[1]
    finally:
        hook.remove()
    return found, report


def forecasts(made, model):
    return model.predict([origin(made, back) for back in range(20)])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_budget_of_steps_is_the_number_of_steps_and_the_schedule_follows_it(made, schedule):
    found, report = rates(made, network(inputs="each", schedule=schedule), max_epochs=4, max_steps=20, patience=4)
    each = [1.0] * 4 if schedule == "constant" else [(1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert found == pytest.approx([0.02 * share for share in each for _ in range(5)])
    assert len(report.curves["val_loss"]) == 4


def test_a_budget_above_one_pass_goes_on_with_the_next(made):
    found, report = rates(made, network(), max_epochs=2, max_steps=40, patience=2)
    assert len(found) == 40 > 2 * report.facts["windows"] / 64


def test_a_budget_stops_early_like_any_training(made):
    wild = network(learning_rate=0.3, schedule="constant")
    found, report = rates(made, wild, max_epochs=40, max_steps=200, patience=2)
    assert report.facts["epochs"] == report.facts["best_epoch"] + 2 < 40
    assert len(found) == 5 * report.facts["epochs"]


def test_a_budget_of_a_whole_number_of_passes_learns_what_epochs_learn(made):
    config = network(inputs="each")
    epochs, report = fitted(made, config, max_epochs=3)
    steps = math.ceil(report.facts["windows"] / 64)
    budget, _ = fitted(made, config, max_epochs=3, max_steps=3 * steps)
    np.testing.assert_array_equal(forecasts(made, epochs), forecasts(made, budget))


def test_fewer_validation_windows_are_of_the_same_ones_and_change_no_training(made):
    config = network(inputs="each", weights="last")
    whole, report = fitted(made, config)
    some, fewer = fitted(made, config, validation_windows=40)
    np.testing.assert_array_equal(forecasts(made, whole), forecasts(made, some))
    assert fewer.curves["train_loss"] == report.curves["train_loss"]
    assert fewer.curves["val_loss"] == pytest.approx(report.curves["val_loss"], rel=0.3)
    assert fewer.curves["val_loss"] != report.curves["val_loss"]


@pytest.mark.parametrize("name", CASES)
def test_in_bf16_a_network_learns_within_the_stated_tolerance_of_float32(made, name):
    """The tolerance of docs/gpu.md: 5 % of the loss, and forecasts nearer than another seed's."""
    config = network(**CASES[name])
    full, low, other = (
        fitted(made, config, max_epochs=6, patience=6, **changes)
        for changes in ({}, {"precision": "bf16-mixed"}, {"seed": 2})
    )
    assert low[1].curves["val_loss"][-1] == pytest.approx(full[1].curves["val_loss"][-1], rel=0.05)
    apart, seeds = (np.abs(forecasts(made, m) - forecasts(made, full[0])).mean() for m in (low[0], other[0]))
    assert 0 < apart < seeds


def test_weights_are_float32_on_the_cpu_whatever_they_were_trained_in(made):
    for precision in ("32-true", "bf16-mixed"):
        arrays = fitted(made, network(), precision=precision)[0].state()[1]
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_half_precision_without_a_gpu_is_refused(made):
    with pytest.raises(ValidationError, match="scaled 16-bit"):
        trainer(precision="16-mixed")
    if not torch.accelerator.is_available():
        with pytest.raises(ConfigError, match="32-true"):
            fitted(made, network(), accelerator="auto", precision="16-mixed")


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(made):
    with pytest.raises(ConfigError, match=r"trainer\.accelerator"):
        fitted(made, network(), accelerator="gpu")
