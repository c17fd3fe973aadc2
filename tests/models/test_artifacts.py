"""A saved model is the same whatever it was trained on: weights without a device, loaded without looking for one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from synthetic import context, network, origin, table, weekly

from daycast import models

# As if there were GPUs, which nobody may touch: whatever asks CUDA for anything ends the process.
UNTOUCHED = """
import json, pathlib, sys
sys.path.insert(0, {here!r})
import torch

def touched(*_args, **_named):
    raise SystemExit("CUDA was touched")

torch.cuda._lazy_init = torch.cuda.init = torch.cuda.current_device = touched
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 8
from synthetic import origin, table, weekly
from daycast import models

made = table(weekly(n=3, steps=400))
print(json.dumps(models.load(pathlib.Path({folder!r})).predict([origin(made)]).tolist()))
"""


@pytest.fixture(scope="module")
def made():
    return table(weekly(n=3, steps=400))


@pytest.fixture
def saved(made, tmp_path):
    """A model's folder, and its forecast."""
    model = models.build(network(inputs="each", embedding=2), context(precision="bf16-mixed"), 2)
    model.fit(made.panel)
    models.save(model, tmp_path / "model")
    return tmp_path / "model", model.predict([origin(made)])


def trainer(folder, **changes):
    """The saved trainer's section, after these changes."""
    file = folder / "config.json"
    told = json.loads(file.read_text())
    told["context"]["trainer"].update(changes)
    for key in [key for key, value in changes.items() if value is ...]:
        del told["context"]["trainer"][key]
    file.write_text(json.dumps(told, default=str))


def test_weights_have_names_shapes_and_numbers_and_no_device(saved):
    folder, _ = saved
    with safe_open(folder / "weights.safetensors", framework="numpy") as file:
        assert not file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {np.dtype(np.float32)}  # noqa: SIM118
    assert b"cuda" not in (folder / "weights.safetensors").read_bytes()


def test_a_model_that_was_trained_on_gpus_is_loaded_and_forecasts_where_there_is_none(made, saved):
    folder, forecast = saved
    trainer(folder, accelerator="gpu", devices=[0, 3], strategy="ddp", precision="16-mixed")
    np.testing.assert_array_equal(models.load(folder).predict([origin(made)]), forecast)


def test_loading_and_forecasting_touch_no_gpu_where_there_are_some(saved):
    folder, forecast = saved
    trainer(folder, accelerator="gpu", devices=[0, 3], strategy="ddp")
    code = UNTOUCHED.format(here=str(Path(__file__).parent), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(json.loads(done.stdout.splitlines()[-1]), forecast)


def test_a_model_saved_before_there_were_devices_is_loaded(made, saved):
    folder, forecast = saved
    trainer(folder, devices=..., strategy=..., max_steps=..., validation_windows=..., batch_factor=...)
    np.testing.assert_array_equal(models.load(folder).predict([origin(made)]), forecast)
