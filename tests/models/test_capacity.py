"""Batches found by trial: the trial runs out of memory for real, in a process that may have little of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synthetic import context, network, table, trainer, weekly
from torch.optim.optimizer import register_optimizer_step_pre_hook

from daycast.errors import ModelError
from daycast.models import capacity, devices
from daycast.models.neural import NeuralForecaster

TIGHT = """
import json, resource, sys
sys.path.insert(0, {here!r})
import numpy as np
from synthetic import context, network, origin, table, weekly
from daycast.models.neural import NeuralForecaster

made = table(weekly(n=8, steps=500))

def fitted(**changes):
    model = NeuralForecaster(
        network(inputs="each", hidden=64, batch_size=2048, cell="ln_gru"), context(max_epochs=1, patience=1, **changes)
    )
    report = model.fit(made.panel)
    return model.predict([origin(made, back) for back in range(5)]), report.facts

whole, _ = fitted()
(held,) = [line for line in open("/proc/self/status") if line.startswith("VmData")]
limit = int(held.split()[1]) * 1024 + 30 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
parts, facts = fitted(batch_factor=4)
print(json.dumps([float(np.abs(parts - whole).max()), facts]))
"""


def test_candidates_fall_from_the_largest_to_the_configured_batch_and_then_to_parts_of_it():
    found = list(capacity.candidates(network(batch_size=64, learning_rate=0.01), 8, 2, 300))
    assert [(b.size, b.parts) for b in found] == [
        *((256, 1), (128, 1)),  # eight times 64 are more than there are
        *((64, 1), (64, 2), (64, 4), (64, 8), (64, 16), (64, 32)),  # of two devices, down to a window each
    ]
    assert [b.rate for b in found] == pytest.approx([0.02, 0.01 * 2**0.5, *[0.01] * 6])


def test_where_memory_is_there_the_batch_grows_to_its_bound_and_the_rate_with_its_root():
    steps = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: steps.append(optimizer.param_groups[0]["lr"]))
    try:
        model = NeuralForecaster(network(inputs="each", schedule="constant"), context(max_epochs=1, batch_factor=4))
        facts = model.fit(table(weekly(n=4, steps=400)).panel).facts
    finally:
        hook.remove()
    assert (facts["batch"], facts["batch_parts"], facts["rate"]) == (256, 1, 0.04)
    trained = steps[capacity.STEPS :]  # after the trial's own
    assert trained == pytest.approx([0.04] * -(-int(facts["windows"]) // 256))


def test_a_batch_that_does_not_fit_is_learnt_from_in_parts_to_the_same_forecast():
    """With 30 MB to spare; the batch's own step takes about a hundred."""
    code = TIGHT.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    apart, facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["batch"] == 2048
    assert facts["batch_parts"] in (2, 4, 8)
    assert facts["rate"] == 0.02
    assert apart < 1e-3  # of values around 200


def test_memory_that_does_not_hold_a_fit_is_told_with_what_to_change():
    with pytest.raises(ModelError, match=r"trainer\.batch_factor"), devices.in_use(trainer(), torch.device("cpu")):
        torch.empty(2**55)
    with pytest.raises(RuntimeError, match="other"), devices.in_use(trainer(), torch.device("cpu")):
        raise RuntimeError("other")
