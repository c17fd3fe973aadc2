"""The ``trainer`` group: the training loop of networks, and the device it runs on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from daycast.config.section import Section

# Told apart by tags, so that a fault is told once and not once for each of the two.
Devices = Annotated[
    Annotated[int, Field(ge=1), Tag("<one>")]
    | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Tag("<each>")],
    Discriminator(lambda value: "<each>" if isinstance(value, (list, tuple)) else "<one>"),
]
SINCE: Mapping[str, Any] = {
    "devices": 1,
    "strategy": "single",
    "max_steps": None,
    "validation_windows": None,
    "batch_factor": None,
}
"""What models were trained with that were saved before there were these keys."""


class Trainer(Section):
    """The training loop."""

    name: str = Field(description="name, as in conf/trainer/<name>.yaml")
    accelerator: Literal["cpu", "gpu", "auto"] = Field(
        description="where to train; gpu fails at once where there is none, auto takes what there is"
    )
    devices: Devices = Field(
        description="how many, or with accelerator gpu a list of their numbers among those that CUDA_VISIBLE_DEVICES "
        "leaves, from 0"
    )
    strategy: Literal["single", "ddp"] = Field(
        description="single: one device; ddp: a process for each of several, which share every batch between them"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        description="Lightning precision; recurrences stay in float32 at any"
    )
    max_epochs: int = Field(ge=1, description="most epochs")
    max_steps: int | None = Field(
        ge=1,
        description="training steps in all, a multiple of max_epochs: an epoch is then this share of them, and takes "
        "up the windows where the one before left off; null: an epoch is every window once",
    )
    patience: int = Field(ge=1, description="epochs without a better validation loss before stopping early")
    validation_steps: int = Field(
        ge=1, description="last target timestamps of the fit's history held out to stop early"
    )
    validation_windows: int | None = Field(
        ge=1, description="most windows of those that the validation loss is of, drawn once by the seed; null: all"
    )
    batch_factor: int | None = Field(
        ge=1,
        description="power of two: batches of model.batch_size, or of as many times as many windows as the device's "
        "memory holds by trial, this many at most, the learning rate times the root of it; where not even one "
        "batch fits, in parts whose gradients add up to its own; null: batches of model.batch_size, untried",
    )
    gradient_clip: float = Field(gt=0, description="largest norm of the gradient")
    deterministic: bool = Field(
        description="same seed, same data, same machine: same bits; false is for GPUs: the fastest kernels, and "
        "products of float32 in TF32"
    )
    threads: int = Field(ge=1, le=64, description="CPU threads of a fit, of each of its processes")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Trainer:
        faults = []
        if isinstance(self.devices, tuple) and len(set(self.devices)) < len(self.devices):
            faults.append(f"devices: each number once, found {list(self.devices)}")
        if isinstance(self.devices, tuple) and self.accelerator != "gpu":
            faults.append(f"devices: a count, as only GPUs have numbers, found {list(self.devices)}")
        if self.processes > 1 and self.strategy == "single":
            faults.append(f"strategy: ddp for {self.processes} devices, or devices: 1")
        if self.processes == 1 and self.strategy == "ddp":
            faults.append("strategy: single for one device, or more devices")
        if self.accelerator == "cpu" and self.precision == "16-mixed":
            faults.append("precision: 32-true or bf16-mixed on a CPU, which has no scaled 16-bit floats")
        if self.max_steps is not None and self.max_steps % self.max_epochs:
            near = max(1, self.max_steps // self.max_epochs) * self.max_epochs
            faults.append(f"max_steps: a multiple of max_epochs {self.max_epochs}, such as {near}")
        if self.batch_factor is not None and self.batch_factor.bit_count() != 1:
            faults.append(f"batch_factor: a power of two, found {self.batch_factor}")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def processes(self) -> int:
        """How many devices are asked for, each of which has a process."""
        return self.devices if isinstance(self.devices, int) else len(self.devices)

    def at_most(self, epochs: int) -> Trainer:
        """The same with fewer epochs, each as long as before."""
        fewer = min(epochs, self.max_epochs)
        steps = None if self.max_steps is None else self.max_steps // self.max_epochs * fewer
        return self.model_copy(update={"max_epochs": fewer, "max_steps": steps})

    @classmethod
    def saved(cls, values: Mapping[str, Any]) -> Trainer:
        """The section that a saved model holds, of this version or of one with fewer keys."""
        return cls.model_validate_json(json.dumps({**SINCE, **values}))
