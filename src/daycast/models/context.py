"""What a forecaster knows beside its own configuration."""

from __future__ import annotations

from dataclasses import dataclass

from daycast.config import Trainer


@dataclass(frozen=True)
class BuildContext:
    """The surroundings of a model, equal for all models of a run.

    Attributes:
        horizon: steps ahead that one ``predict`` gives.
        season_length: steps per season of the dataset.
        seed: seed of everything random in a fit.
        trainer: the training loop of networks.
    """

    horizon: int
    season_length: int
    seed: int
    trainer: Trainer
