"""Several processes that train one network: for real, two of them on the CPU, over gloo."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from synthetic import context, network, origin, table, weekly

from daycast.errors import ModelError, ToolError
from daycast.models import ranks
from daycast.models.neural import NeuralForecaster

TWO = {"devices": 2, "strategy": "ddp"}
LONG = """
import sys
sys.path.insert(0, {here!r})
from synthetic import context, network, table, weekly
from daycast.models.neural import NeuralForecaster
NeuralForecaster(network(), context(devices=2, strategy="ddp", max_epochs=5000, patience=5000)).fit(
    table(weekly(n=3, steps=400)).panel, on_epoch=lambda *_: print("epoch", flush=True)
)
"""


@pytest.fixture(scope="module")
def made():
    return table(weekly(n=3, steps=400))


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    """Whatever comes of a fit, no process and no file of it is left."""
    before = children()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert children() == before
    assert list(tmp_path.iterdir()) == []


def children(of: int | None = None) -> set[int]:
    tasks = Path(f"/proc/{of or os.getpid()}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def forecasts(made, model):
    return model.predict([origin(made, back) for back in range(20)])


def test_two_devices_learn_what_one_learns_from_the_same_batches(made):
    config = network(inputs="each", embedding=2, output="seq2seq", batch_size=50)
    one, two = NeuralForecaster(config, context()), NeuralForecaster(config, context(**TWO))
    told, threads = [], set()

    def on_epoch(epoch, epochs, values):
        threads.add(threading.get_ident())
        told.append((epoch, epochs, values["val_loss"], forecasts(made, two)))

    alone, shared = one.fit(made.panel), two.fit(made.panel, on_epoch=on_epoch)
    for name, curve in alone.curves.items():
        assert shared.curves[name] == pytest.approx(curve, rel=1e-4)
    assert shared.facts["best_epoch"] == alone.facts["best_epoch"]
    assert shared.facts["devices"] == 2
    np.testing.assert_allclose(forecasts(made, two), forecasts(made, one), atol=1e-3 * made.panel.y.std())
    assert [(epoch, epochs) for epoch, epochs, *_ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [loss for *_, loss, _ in told] == shared.curves["val_loss"]
    assert threads == {threading.get_ident()}
    best = told[int(shared.facts["best_epoch"]) - 1][3]  # the weights of an epoch are here while it is told
    np.testing.assert_array_equal(best, forecasts(made, two))
    assert not np.array_equal(told[0][3], told[1][3])


def test_what_a_process_can_t_go_on_with_comes_as_the_error_it_would_be_here(made):
    with pytest.raises(ModelError, match="learning_rate"):
        NeuralForecaster(network(learning_rate=1e38, loss="mse"), context(**TWO)).fit(made.panel)


def test_what_on_epoch_raises_comes_through(made):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        NeuralForecaster(network(), context(**TWO)).fit(made.panel, on_epoch=stop)


def test_a_process_that_is_killed_ends_the_training_with_a_word(made):
    def kill(*_):
        victim = max(children(), key=lambda pid: b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
        os.kill(victim, signal.SIGKILL)

    with pytest.raises(ToolError, match="number 1 ended with -9"):
        NeuralForecaster(network(), context(max_epochs=50, patience=50, **TWO)).fit(made.panel, on_epoch=kill)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    code = LONG.format(here=str(Path(__file__).parent))
    env = {**os.environ, "TMPDIR": str(tmp_path / "other")}
    (tmp_path / "other").mkdir()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"epoch\n"
        started = children(parent.pid)
        assert len(started) == 2
        parent.kill()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < until:
        time.sleep(0.1)
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    for left in sorted((tmp_path / "other").rglob("*"), reverse=True):
        left.rmdir() if left.is_dir() else left.unlink()
    (tmp_path / "other").rmdir()


def test_mapped_arrays_travel_as_places_and_others_as_they_are(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(100_000.0).reshape(10, -1))
    np.save(tmp_path / "none.npy", np.zeros((10, 0)))
    mapped, none = (np.load(tmp_path / name, mmap_mode="r") for name in ("a.npy", "none.npy"))
    job = ranks._pickled({"whole": mapped, "part": mapped[3:4, ::2], "own": np.arange(5), "none": none})
    assert len(job) < mapped.nbytes / 10
    back = pickle.loads(job)
    assert isinstance(back["whole"], np.memmap)
    assert not back["whole"].flags.writeable
    np.testing.assert_array_equal(back["whole"], mapped)
    np.testing.assert_array_equal(back["part"], mapped[3:4, ::2])
    np.testing.assert_array_equal(back["own"], np.arange(5))
    assert back["none"].shape == (10, 0)
    for file in tmp_path.iterdir():
        file.unlink()
