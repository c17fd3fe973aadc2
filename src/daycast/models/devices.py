"""The devices that networks are trained on: whether they are there, how they compute, and that they are left clean."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from daycast.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from daycast.config import Trainer


def require(trainer: Trainer) -> None:
    """Do nothing if this machine has the devices that the configuration asks for, in the precision it asks for.

    Raises:
        ConfigError: it has not.
    """
    gpu = trainer.accelerator == "gpu"
    found = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    if gpu and not found:
        raise ConfigError(
            "a GPU that torch can use, for trainer.accelerator: gpu",
            f"none (torch {torch.__version__}, CUDA {torch.version.cuda or 'not built in'})",
            "run on a machine with a GPU and a CUDA build of torch, or choose trainer=default or trainer=panel",
        )
    wanted = range(trainer.devices) if isinstance(trainer.devices, int) else trainer.devices
    if gpu and (missing := [number for number in wanted if number >= found]):
        raise ConfigError(
            f"GPUs numbered {list(wanted)}, for trainer.devices",
            f"{found}, numbered from 0; no {missing}",
            "ask for fewer, or make them visible with CUDA_VISIBLE_DEVICES",
        )
    if trainer.precision == "16-mixed" and not found:
        raise ConfigError("a GPU, for trainer.precision: 16-mixed", "none", "set trainer.precision to 32-true")
    if trainer.precision == "bf16-mixed" and found and torch.cuda.is_available() and trainer.accelerator != "cpu":
        numbers = wanted if isinstance(trainer.devices, tuple) else [0]
        old = [n for n in numbers if torch.cuda.get_device_capability(n) < (8, 0)]
        if old:
            raise ConfigError(
                "a GPU of compute capability 8.0 (Ampere) or newer, for trainer.precision: bf16-mixed",
                ", ".join(torch.cuda.get_device_name(n) for n in old),
                "set trainer.precision to 16-mixed or 32-true",
            )


def chosen(trainer: Trainer, process: int = 0) -> torch.device:
    """The device of one of the trainer's processes."""
    if trainer.accelerator == "cpu" or not torch.accelerator.is_available():
        return torch.device("cpu")
    kind = torch.accelerator.current_accelerator()
    numbers = trainer.devices if isinstance(trainer.devices, tuple) else range(trainer.devices)
    return torch.device(kind.type if kind else "cpu", numbers[process])


def name(device: torch.device) -> str:
    """What people call it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextmanager
def in_use(trainer: Trainer, device: torch.device) -> Iterator[None]:
    """Inside the block a GPU computes as the trainer says; after it, its memory is free for the next fit.

    How float32 is multiplied is the whole process' affair, and stays so: fits in other threads have the same trainer.
    Deterministic is float32 throughout: cuDNN would take TF32, of 10 bits, for recurrences without being asked.

    Raises:
        ModelError: the device's memory does not hold what is computed.
    """
    if device.type == "cuda":
        # Without it cuBLAS is not deterministic, and it is read once, when the first product is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not trainer.deterministic
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):
            raise too_large(device) from error
        raise
    finally:
        if device.type == "cuda":
            gc.collect()  # the loop and its network hold each other, and the optimiser's state with them
            torch.cuda.empty_cache()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a device's memory did not hold what was computed."""
    from pytorch_lightning.utilities.memory import is_oom_error

    return isinstance(error, torch.OutOfMemoryError) or is_oom_error(error)


def too_large(device: torch.device) -> ModelError:
    """A network and a batch do not fit into the memory of ``device``."""
    return ModelError(
        "memory for the network, its gradients and one batch",
        f"too little on {name(device)}",
        "set trainer.batch_factor (1 splits batches that don't fit), shrink the network or model.batch_size, or leave "
        "the GPU to fewer fits at once",
    )
