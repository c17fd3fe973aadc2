"""The training of one network, as Lightning wants it told; all of Lightning that daycast touches is here.

Imports ``pytorch_lightning`` (never ``lightning``: the same code under another name, whose classes don't mix with it).
"""

from __future__ import annotations

import logging
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from daycast import config
from daycast.core.forecast import OnEpoch
from daycast.core.windows import Windows
from daycast.errors import ModelError
from daycast.models import batches, capacity, devices
from daycast.models.batches import Batch, Batches, Form, Sample
from daycast.models.networks import Network
from daycast.models.training import CURVES, Trained


class Module(pl.LightningModule):
    """A network with its loss, optimiser and schedule.

    Logs ``train_loss`` and ``val_loss`` once an epoch: means over the epoch's windows, in transformed units. Until then
    losses are kept as tensors, because ``self.log`` in every step costs a fifth of a small network's step.
    """

    def __init__(self, network: Network, model: config.Recurrent, rate: float, fused: bool, training: Batches) -> None:
        super().__init__()
        self.network, self.model, self.rate, self.fused = network, model, rate, fused
        self._training, self._items = training, 0
        self._losses: dict[str, list[tuple[Tensor, int]]] = {name: [] for name in CURVES}

    def training_step(self, batch: Sample, _index: int) -> Tensor:
        loss = self._loss(batch, "train_loss")
        if self._training.share.whole:
            return loss
        self._items += 1
        return loss * self._training.weight(self._items - 1, len(batch[0]))

    def validation_step(self, batch: Sample, _index: int) -> None:
        self._loss(batch, "val_loss")

    def _loss(self, batch: Sample, name: str) -> Tensor:
        loss = self.network.loss(*batch)
        self._losses[name].append((loss.detach(), len(batch[0])))
        return loss

    def on_validation_epoch_end(self) -> None:
        """Validation closes an epoch, so both curves get their point here.

        Raises:
            ModelError: a loss is not finite.
        """
        for name, parts in self._losses.items():
            losses = torch.stack([loss for loss, _ in parts]).double()
            counts = torch.tensor([count for _, count in parts], dtype=torch.float64, device=losses.device)
            total = torch.stack([(losses * counts).sum(), counts.sum()])
            if self.trainer.world_size > 1:
                total = self.trainer.strategy.reduce(total, reduce_op="sum")
            mean = total[0] / total[1]
            parts.clear()
            if not torch.isfinite(mean):
                raise ModelError(
                    f"a finite {name}",
                    f"{mean.item()} in epoch {self.current_epoch + 1}",
                    "lower model.learning_rate or trainer.gradient_clip, or end model.transforms with a scale",
                )
            self.log(name, mean.float(), batch_size=1)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.rate, weight_decay=self.model.weight_decay, fused=self.fused
        )
        if self.model.schedule == "constant":
            return optimizer
        epochs = self.trainer.max_epochs or 1
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)]


class Curves(pl.Callback):
    """Keeps each epoch's losses and hands them on; what ``on_epoch`` raises ends the fit."""

    def __init__(self, on_epoch: OnEpoch | None) -> None:
        self.on_epoch = on_epoch
        self.values: dict[str, list[float]] = {name: [] for name in CURVES}

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        for name, values in self.values.items():
            values.append(float(trainer.callback_metrics[name]))
        if self.on_epoch is not None:
            newest = {name: values[-1] for name, values in self.values.items()}
            self.on_epoch(trainer.current_epoch + 1, trainer.max_epochs or 0, newest)


def fit(
    network: Network,
    model: config.Recurrent,
    trainer: config.Trainer,
    parts: tuple[Windows, Windows],
    seed: int,
    on_epoch: OnEpoch | None = None,
    process: int = 0,
) -> Trained:
    """``training.train`` in this process, which is one of the trainer's ``processes``."""
    _quiet()
    torch.set_num_threads(trainer.threads)
    # Deterministic mode would also fill every new tensor, which guards against kernels that read what they did not
    # write, and costs a tenth of a small LSTM's step.
    torch.utils.deterministic.fill_uninitialized_memory = False
    device, form = devices.chosen(trainer, process), Form(model.output == "every_step", model.embedding > 0)
    with devices.in_use(trainer, device), tempfile.TemporaryDirectory(prefix="daycast-fit-") as folder:
        batch = capacity.found(network, model, trainer, device, (parts[0], form))
        given = (trainer, form, seed, batch, process)
        training = batches.training(parts[0], *given)
        # Fused AdamW can't be clipped under mixed precision.
        module = Module(network, model, batch.rate, trainer.precision == "32-true", training)
        curves, choose = Curves(on_epoch), model.weights == "best"
        # Without a loss to monitor, each epoch's weights replace those of the one before.
        kept = ModelCheckpoint(Path(folder), monitor="val_loss" if choose else None, save_weights_only=True)
        stop_early = [EarlyStopping("val_loss", patience=trainer.patience)] if choose else []
        loop = _loop(trainer, [curves, kept, *stop_early], folder, batch.parts)
        with _interruptions():
            loop.fit(module, training, batches.validation(parts[1], *given))
        facts = _facts(trainer, batch, device)
        if process:  # the first one has written the weights, into a folder that is not ours
            return Trained(curves.values, len(curves.values["val_loss"]), facts)
        checkpoint = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
        module.cpu().load_state_dict(checkpoint["state_dict"])
    return Trained(curves.values, checkpoint["epoch"] + 1, facts)


def _facts(trainer: config.Trainer, batch: Batch, device: torch.device) -> dict[str, float | int | str]:
    told: dict[str, float | int | str] = {"device": devices.name(device)}
    if trainer.processes > 1:
        told["devices"] = trainer.processes
    if trainer.batch_factor is not None:
        told |= {"batch": batch.size, "batch_parts": batch.parts, "rate": batch.rate}
    return told


def _loop(trainer: config.Trainer, callbacks: list[pl.Callback], folder: str, parts: int) -> pl.Trainer:
    several = trainer.processes > 1
    return pl.Trainer(
        accelerator=trainer.accelerator,
        devices=list(trainer.devices) if isinstance(trainer.devices, tuple) else trainer.devices,
        strategy="ddp" if several else "auto",
        plugins=[LightningEnvironment()] if several else None,
        precision=trainer.precision,
        deterministic=trainer.deterministic,
        benchmark=not trainer.deterministic,
        max_epochs=trainer.max_epochs,
        accumulate_grad_batches=parts,
        gradient_clip_val=trainer.gradient_clip,
        callbacks=callbacks,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _interruptions() -> Iterator[None]:
    """Inside the block an interrupt stays one."""
    try:
        yield
    except (SystemExit, ValueError) as stop:
        # Lightning makes exit 1 of an interrupt (outside the main thread, a ValueError), and exit 0 of TERM.
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        if isinstance(stop, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from stop
        raise


def _quiet() -> None:
    """Leave out what Lightning tells of every fit, and no more."""
    for place in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(f"{place}.utilities.rank_zero").setLevel(logging.WARNING)
    for message in (r"`isinstance\(treespec, LeafSpec\)` is deprecated", "GPU available but not used"):
        warnings.filterwarnings("ignore", message, module=r"pytorch_lightning\.")
