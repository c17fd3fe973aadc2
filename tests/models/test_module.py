import math
import os
import signal
import tempfile
import threading

import numpy as np
import pytest
import torch
from synthetic import network, table, trainer, weekly
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from daycast.core import transform
from daycast.core.transform import Scale
from daycast.core.windows import windows
from daycast.errors import ModelError
from daycast.models import networks
from daycast.models.emissions import LOSSES
from daycast.models.networks import Shape, Sizes
from daycast.models.training import train


@pytest.fixture(scope="module")
def made():
    history = table(weekly(steps=328)).panel
    fitted = transform.fit([Scale("standard")], history.y)
    return windows(history, transform.forward(fitted, history.y), 14, 7, "joint")


def fresh(seed=1):
    return networks.build(Shape("gru", "direct", 8, 1, 0.0), Sizes(2, 7, 0, 2, 7), seed)


def run(made, on_epoch=None, config=None, **changes):
    net = fresh()
    trained = train(net, config or network(), trainer(**changes), made.split(60), 1, on_epoch)
    return net.eval(), trained


def loss_on(net, part):
    past, future, static, target = (torch.from_numpy(a) for a in part.batch(np.arange(len(part))))
    with torch.inference_mode():
        return LOSSES["huber"](net(past, future, static), target).item()


class EnoughError(Exception):
    pass


@pytest.mark.parametrize("loss", ["huber", "mae", "mse"])
def test_training_lowers_both_losses(made, loss):
    _, trained = run(made, config=network(loss=loss), max_epochs=6)
    for curve in trained.curves.values():
        assert len(curve) == 6
        assert curve[-1] < 0.8 * curve[0]


def test_training_ends_with_the_weights_of_the_best_epoch_and_stops_when_patience_is_spent(made):
    wild = network(learning_rate=0.3, schedule="constant")
    net, trained = run(made, config=wild, max_epochs=40, patience=3)
    curve = trained.curves["val_loss"]
    assert trained.kept_epoch == int(np.argmin(curve)) + 1
    assert len(curve) == trained.kept_epoch + 3 < 40
    assert curve[-1] > curve[trained.kept_epoch - 1]
    assert loss_on(net, made.split(60)[1]) == pytest.approx(min(curve), rel=1e-5)


@pytest.mark.parametrize(("clip", "held"), [(0.01, True), (1e6, False)])
def test_gradients_are_clipped_to_the_configured_norm(made, clip, held):
    norms = []

    def measure(optimizer, _args, _kwargs):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients])).item())

    hook = register_optimizer_step_post_hook(measure)
    try:
        run(made, gradient_clip=clip, max_epochs=1)
    finally:
        hook.remove()
    assert (max(norms) <= 0.01 * 1.001) is held


@pytest.mark.parametrize(
    ("schedule", "last"), [("constant", 0.02), ("cosine", 0.02 * (1 + math.cos(math.pi * 3 / 4)) / 2)]
)
def test_the_step_size_follows_the_schedule(made, schedule, last):
    rates = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    try:
        run(made, config=network(schedule=schedule), max_epochs=4, patience=4)
    finally:
        hook.remove()
    assert (rates[0], rates[-1]) == pytest.approx((0.02, last))


def test_a_loss_that_is_not_finite_says_what_to_change(made):
    with pytest.raises(ModelError, match=r"learning_rate"):
        run(made, config=network(learning_rate=1e38, loss="mse"))


def test_on_epoch_sees_every_epoch_and_what_it_raises_ends_the_fit(made, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def stop(epoch, most, metrics):
        seen.append((epoch, most, sorted(metrics)))
        if epoch == 2:
            raise EnoughError

    with pytest.raises(EnoughError) as caught:
        run(made, stop, max_epochs=5)
    assert seen == [(e, 5, ["train_loss", "val_loss"]) for e in (1, 2)]
    assert caught.value.__cause__ is None
    assert list(tmp_path.iterdir()) == []


def test_a_fit_leaves_no_file_and_prints_nothing(made, monkeypatch, tmp_path, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(made)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_an_interrupt_stays_an_interrupt_and_the_next_one_is_heard(made):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            run(made, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_stays_an_interrupt_in_another_thread(made):
    caught = []

    def interrupt(*_):
        raise KeyboardInterrupt

    def fit():
        with pytest.raises(BaseException) as info:
            run(made, interrupt)
        caught.append(info.type)

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert caught == [KeyboardInterrupt]


def test_a_fit_that_is_told_to_end_does_not_report_success(made):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        run(made, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_temporary_folder_is_gone_after_a_failed_fit(made, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ModelError):
        run(made, config=network(learning_rate=1e38, loss="mse"))
    assert list(tmp_path.iterdir()) == []
