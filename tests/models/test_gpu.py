"""On a GPU, for real: run by `python benchmarks/gpu.py`, or `pytest -m gpu`. Needs nothing but this folder and src/."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import context, fitted, network, origin, table, weekly

from daycast import models
from daycast.models.neural import NeuralForecaster

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use (torch.cuda.is_available)"),
]
EXACT = {"accelerator": "gpu", "deterministic": True}
FAST = {"accelerator": "gpu", "deterministic": False, "precision": "bf16-mixed"}
# Of the standard deviation of y: the tolerance of docs/gpu.md for float32. Both round, in another order.
TOLERANCE = 1e-3
CASES = {
    "direct": {"inputs": "each"},
    "embedding": {"inputs": "each", "embedding": 2, "output": "heads"},
    "seq2seq": {"cell": "lstm", "output": "seq2seq", "attention": "dot"},
    "every_step": {"inputs": "each", "output": "every_step"},
    "dilated": {
        "front": {"kind": "dilated", "filters": 4, "kernel": 2, "dilations": (1, 2)},
        "loss": "pinball",
        "quantiles": (0.1, 0.5, 0.9),
    },
    "own cell": {"cell": "ln_gru", "front": {"kind": "conv", "filters": 4, "kernel": 3, "stride": 2}},
    "two ways": {"cell": ("gru", "peephole_lstm"), "layers": 2, "bidirectional": True, "loss": "student_t"},
}
ELSEWHERE = """
import json, sys
sys.path.insert(0, {here!r})
import torch
from synthetic import origin, table, weekly
from daycast import models
made = table(weekly(n=3, steps=400))
found = models.load(__import__("pathlib").Path({folder!r})).predict([origin(made)])
print(json.dumps([torch.cuda.is_available(), torch.cuda.is_initialized(), found.tolist()]))
"""


@pytest.fixture(scope="module")
def made():
    return table(weekly(n=3, steps=400))


def forecasts(made, model):
    return model.predict([origin(made, back) for back in range(20)])


def same(one, other):
    return all(np.array_equal(a, other.state()[1][name]) for name, a in one.state()[1].items())


@pytest.mark.parametrize("name", CASES)
def test_a_gpu_learns_what_a_cpu_learns(made, name):
    (cpu, slow), (gpu, quick) = (fitted(made, network(**CASES[name]), **changes) for changes in ({}, EXACT))
    for curve, values in slow.curves.items():
        assert quick.curves[curve] == pytest.approx(values, rel=1e-3)
    apart = np.abs(forecasts(made, gpu) - forecasts(made, cpu)).max() / made.panel.y.std()
    print(f"MEASURED {name}: forecasts of GPU and CPU, float32: at most {apart:.2g} deviations of y apart")
    assert apart < TOLERANCE
    assert quick.facts["device"] == torch.cuda.get_device_name()


@pytest.mark.parametrize("name", CASES)
def test_in_fast_mode_a_network_learns_within_the_stated_tolerance(made, name):
    config, longer = network(**CASES[name]), {"max_epochs": 6, "patience": 6}
    full, fast, other = (fitted(made, config, **changes, **longer) for changes in ({}, FAST, {"seed": 2}))
    assert fast[1].curves["val_loss"][-1] == pytest.approx(full[1].curves["val_loss"][-1], rel=0.05)
    apart, seeds = (np.abs(forecasts(made, m) - forecasts(made, full[0])).mean() for m in (fast[0], other[0]))
    ratio = apart / seeds
    print(f"MEASURED {name}: forecasts of fast mode on the GPU and the CPU: {ratio:.2g} of what seeds are apart")
    assert apart < seeds


@pytest.mark.parametrize("name", CASES)
def test_in_deterministic_mode_the_same_seed_gives_the_same_bits(made, name):
    config = network(**{"dropout": 0.2, **CASES[name]})
    one, two = (fitted(made, config, **EXACT)[0] for _ in range(2))
    assert same(one, two)


def test_fits_at_once_on_one_gpu_give_the_bits_they_give_alone(made):
    config = network(inputs="each", dropout=0.2)
    alone = [fitted(made, config, seed=seed, **EXACT)[0] for seed in (1, 2)]
    together = [NeuralForecaster(config, context(seed=seed, **EXACT)) for seed in (1, 2)]
    threads = [threading.Thread(target=model.fit, args=(made.panel,)) for model in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def test_a_model_trained_on_a_gpu_is_loaded_where_there_is_none(made, tmp_path):
    model = models.build(network(inputs="each"), context(**FAST))
    model.fit(made.panel)
    models.save(model, tmp_path / "model")
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == ["config.json", "weights.safetensors"]
    code = ELSEWHERE.format(here=str(Path(__file__).parent), folder=str(tmp_path / "model"))
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    there, touched, found = json.loads(done.stdout.splitlines()[-1])
    assert (there, touched) == (False, False)
    np.testing.assert_array_equal(found, model.predict([origin(made)]))


def test_after_a_fit_its_memory_is_free(made):
    torch.cuda.reset_peak_memory_stats()
    model, _ = fitted(made, network(inputs="each", hidden=256, batch_size=1024), **EXACT)
    kept, most = torch.cuda.memory_reserved(), torch.cuda.max_memory_reserved()
    print(f"MEASURED memory of the GPU after a fit: {kept / 2**20:.0f} MiB, of {most / 2**20:.0f} MiB during it")
    assert kept < 128 * 2**20  # the workspaces of cuBLAS stay
    assert kept < most
    assert {value.device.type for value in model._fitted().state_dict().values()} == {"cpu"}


def test_a_batch_grows_as_far_as_memory_and_its_bound_allow(made):
    _, report = fitted(made, network(inputs="each", batch_size=32), batch_factor=4, **EXACT)
    assert (report.facts["batch"], report.facts["batch_parts"], report.facts["rate"]) == (128, 1, 0.04)


def test_a_batch_that_does_not_fit_is_learnt_from_in_parts_to_the_same_forecast(made):
    config, once = network(inputs="each", hidden=512, batch_size=1024), {"max_epochs": 1, "patience": 1}
    torch.cuda.reset_peak_memory_stats()
    whole, _ = fitted(made, config, **once, **EXACT)
    kept, most = torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    limit = kept + (most - kept) // 2
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.get_device_properties(0).total_memory)
    try:
        parts, report = fitted(made, config, batch_factor=1, **once, **EXACT)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    told = (
        f"{report.facts['batch_parts']} parts in {limit / 2**20:.0f} MiB of the {most / 2**20:.0f} MiB it takes whole"
    )
    print(f"MEASURED a batch of 1024 windows: {told}")
    assert report.facts["batch_parts"] > 1
    assert np.abs(forecasts(made, parts) - forecasts(made, whole)).max() < TOLERANCE * made.panel.y.std()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_a_fit_takes_the_gpu_that_it_is_given(made):
    before = [torch.cuda.max_memory_allocated(n) for n in (0, 1)]
    fitted(made, network(), accelerator="gpu", devices=(1,))
    assert torch.cuda.max_memory_allocated(0) == before[0]
    assert torch.cuda.max_memory_allocated(1) > before[1]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_two_gpus_learn_what_one_learns_from_the_same_batches(made):
    config = network(inputs="each", embedding=2)
    one, two = (fitted(made, config, **changes, **EXACT) for changes in ({}, {"devices": 2, "strategy": "ddp"}))
    for name, curve in one[1].curves.items():
        assert two[1].curves[name] == pytest.approx(curve, rel=1e-3)
    assert np.abs(forecasts(made, two[0]) - forecasts(made, one[0])).max() < TOLERANCE * made.panel.y.std()
