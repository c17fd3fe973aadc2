"""Train a network, on one device or several."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daycast.models import devices

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.forecast import OnEpoch
    from daycast.core.windows import Windows
    from daycast.models.networks import Network

CURVES = ("train_loss", "val_loss")


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        curves: ``train_loss`` and ``val_loss``, one value an epoch.
        kept_epoch: the epoch whose weights are kept, from 1.
        facts: how it was done, where that was not told before: the device, and the batch that was found for it.
    """

    curves: dict[str, list[float]]
    kept_epoch: int
    facts: dict[str, float | int | str] = field(default_factory=dict)


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
    of the last of all epochs; see ``config.Recurrent.weights``. On several devices a process for each does this.

    Fits in several threads at once don't disturb each other: no random number comes from a generator they share.

    Raises:
        ConfigError: the trainer's devices or precision can't be had.
        ModelError: a loss is not finite, or the device's memory is too small.
        KeyboardInterrupt: as it came. What ``on_epoch`` raises comes through as well.
    """
    devices.require(trainer)
    if trainer.processes > 1:
        from daycast.models import ranks

        return ranks.train(network, model, trainer, parts, seed, on_epoch)
    from daycast.models.module import fit  # Lightning takes seconds to import, and a served model never trains

    return fit(network, model, trainer, parts, seed, on_epoch)
