"""The training of one network, as Lightning wants it told; all of Lightning that daycast touches is here.

Imports ``pytorch_lightning`` (never ``lightning``: the same code under another name, whose classes don't mix with it).
"""

from __future__ import annotations

import logging
import signal
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from daycast import config
from daycast.core import stepwise
from daycast.core.forecast import OnEpoch
from daycast.core.windows import Windows
from daycast.errors import ModelError
from daycast.models.networks import Network

Sample = tuple[Tensor, ...]
"""A batch: past ``(B, L, C+F)``, future ``(B, H, F)``, static ``(B, S)`` (with the series' number ``(B, S+1)``), target
``(B, H, K)`` or ``(B, L, H, K)``."""

CURVES = ("train_loss", "val_loss")


class Batches:
    """Whole batches of windows, of sizes that differ by one at most; in random order if a generator is given.

    A plain iterable: torch's ``DataLoader`` gathers window by window, which costs more than the step it feeds.

    Args:
        every_step: hand out the targets of every step of the lookback, not of the last alone.
        numbered: end the static covariates with the number of the window's group.
    """

    def __init__(
        self,
        windows: Windows,
        size: int,
        shuffle: torch.Generator | None = None,
        *,
        every_step: bool = False,
        numbered: bool = False,
    ) -> None:
        self._windows, self._size, self._shuffle = windows, size, shuffle
        self._every_step, self._numbered = every_step, numbered

    def __len__(self) -> int:
        return -(-len(self._windows) // self._size)

    def __iter__(self) -> Iterator[Sample]:
        count = len(self._windows)
        order = np.arange(count) if self._shuffle is None else torch.randperm(count, generator=self._shuffle).numpy()
        for part in np.array_split(order, len(self)):
            batch = self._windows.batch(part)
            if self._every_step:
                batch = batch._replace(target=stepwise.targets(self._windows, part))
            if self._numbered:
                number = self._windows.starts[part, :1].astype(np.float32)
                batch = batch._replace(static=np.concatenate([batch.static, number], axis=1))
            yield tuple(torch.from_numpy(array) for array in batch)


class Module(pl.LightningModule):
    """A network with its loss, optimiser and schedule.

    Logs ``train_loss`` and ``val_loss`` once an epoch: means over the epoch's windows, in transformed units. Until then
    losses are kept as tensors, because ``self.log`` in every step costs a fifth of a small network's step.
    """

    def __init__(self, network: Network, model: config.Recurrent, fused: bool) -> None:
        super().__init__()
        self.network, self.model, self.fused = network, model, fused
        self._losses: dict[str, list[tuple[Tensor, int]]] = {name: [] for name in CURVES}

    def training_step(self, batch: Sample, _index: int) -> Tensor:
        return self._loss(batch, "train_loss")

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
            mean = (losses * counts).sum() / counts.sum()
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
            self.parameters(), lr=self.model.learning_rate, weight_decay=self.model.weight_decay, fused=self.fused
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


@dataclass(frozen=True)
class Trained:
    """Curves ``train_loss`` and ``val_loss``, one value an epoch, and the epoch whose weights are kept, from 1."""

    curves: dict[str, list[float]]
    kept_epoch: int


def train(
    network: Network,
    model: config.Recurrent,
    trainer: config.Trainer,
    parts: tuple[Windows, Windows],
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train ``network`` in place on ``parts`` (training, validation); it ends on a CPU.

    It keeps the weights of the epoch of the least ``val_loss``, until which ``patience`` may end the training, or those
    of the last of all epochs; see ``config.Recurrent.weights``.

    Fits in several threads at once don't disturb each other: no random number comes from a generator they share.

    Raises:
        ModelError: a loss is not finite, or the trainer's device or precision can't be had.
        KeyboardInterrupt: as it came. What ``on_epoch`` raises comes through as well.
    """
    _check_device(trainer)
    _quiet()
    torch.set_num_threads(trainer.threads)
    # Deterministic mode would also fill every new tensor, which guards against kernels that read what they did not
    # write, and costs a tenth of a small LSTM's step.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # Fused AdamW can't be clipped under mixed precision.
    module = Module(network, model, fused=trainer.precision == "32-true")
    curves = Curves(on_epoch)
    shuffle = torch.Generator().manual_seed(seed)
    numbered, choose = model.embedding > 0, model.weights == "best"
    training = Batches(parts[0], model.batch_size, shuffle, every_step=model.output == "every_step", numbered=numbered)
    validation = Batches(parts[1], max(model.batch_size, 512), numbered=numbered)
    with tempfile.TemporaryDirectory(prefix="daycast-fit-") as folder:
        # Without a loss to monitor, each epoch's weights replace those of the one before.
        kept = ModelCheckpoint(Path(folder), monitor="val_loss" if choose else None, save_weights_only=True)
        stop_early = [EarlyStopping("val_loss", patience=trainer.patience)] if choose else []
        loop = _loop(trainer, [curves, kept, *stop_early], folder)
        try:
            loop.fit(module, training, validation)
        except (SystemExit, ValueError) as stop:
            # Lightning makes exit 1 of an interrupt (outside the main thread, a ValueError), and exit 0 of TERM.
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from stop
            if isinstance(stop, SIGTERMException):
                raise SystemExit(128 + signal.SIGTERM) from stop
            raise
        checkpoint = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
    module.cpu().load_state_dict(checkpoint["state_dict"])
    return Trained(curves.values, checkpoint["epoch"] + 1)


def _loop(trainer: config.Trainer, callbacks: list[pl.Callback], folder: str) -> pl.Trainer:
    return pl.Trainer(
        accelerator=trainer.accelerator,
        devices=1,
        precision=trainer.precision,
        deterministic=trainer.deterministic,
        max_epochs=trainer.max_epochs,
        gradient_clip_val=trainer.gradient_clip,
        callbacks=callbacks,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _check_device(trainer: config.Trainer) -> None:
    found = torch.accelerator.is_available()
    if trainer.accelerator == "gpu" and not found:
        raise ModelError(
            "a GPU for trainer.accelerator: gpu", "none that torch can use", "set trainer.accelerator to cpu or auto"
        )
    if trainer.precision != "32-true" and (trainer.accelerator == "cpu" or not found):
        raise ModelError(
            "trainer.precision: 32-true on a CPU, as torch has no LSTM of lower precision there",
            trainer.precision,
            "set trainer.precision to 32-true, or train on a GPU",
        )


def _quiet() -> None:
    """Leave out what Lightning tells of every fit, and no more."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    for message in (r"`isinstance\(treespec, LeafSpec\)` is deprecated", "GPU available but not used"):
        warnings.filterwarnings("ignore", message, module=r"pytorch_lightning\.")
