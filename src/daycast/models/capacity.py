"""How many windows a device's memory holds at once, found by trial."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from math import sqrt

import numpy as np
import torch
from torch import distributed

from daycast import config
from daycast.core.windows import Windows
from daycast.models import devices
from daycast.models.batches import Batch, Form, Sample, sample
from daycast.models.networks import Network

STEPS = 2
"""Of a trial: the optimiser's state is there from the second on."""


def candidates(model: config.Recurrent, factor: int, processes: int, windows: int) -> Iterator[Batch]:
    """Batches from the largest down: powers of two times the configured one, then that one in parts.

    A larger batch has less noise in its gradient, which Adam meets with a rate larger by the root of its factor
    (Malladi et al. 2022, https://arxiv.org/abs/2205.10287); parts change nothing but rounding.
    """
    size, rate = model.batch_size, model.learning_rate
    while factor > 1:
        if size * factor <= windows:
            yield Batch(size * factor, 1, rate * sqrt(factor))
        factor //= 2
    parts = 1
    while parts * processes <= min(size, windows):
        yield Batch(size, parts, rate)
        parts *= 2


def found(
    network: Network,
    model: config.Recurrent,
    trainer: config.Trainer,
    device: torch.device,
    of: tuple[Windows, Form],
) -> Batch:
    """The largest batch whose training step fits into what is free of the device's memory, on all devices.

    Lightning has a search of its own (``BatchSizeFinder``): it takes the size from an attribute of the module and
    doubles it up to 8192 within a fit that it sets back afterwards, knows no bound of ours and no parts, and would show
    our callbacks its trials as epochs.

    Args:
        of: what to learn from, as it is put into batches.

    Raises:
        ModelError: not even a single window fits.
    """
    if trainer.batch_factor is None:
        return Batch(model.batch_size, 1, model.learning_rate)
    windows, form = of
    first, tried = 0, list(candidates(model, trainer.batch_factor, trainer.processes, len(windows)))
    for batch in tried:
        index = np.arange(min(-(-batch.size // (trainer.processes * batch.parts)), len(windows)))
        if _fits(network, trainer, device, sample(windows, index, form)):
            break
        first += 1
    if distributed.is_initialized():  # as the least of the devices can
        least = torch.tensor([first], device=device)
        distributed.all_reduce(least, op=distributed.ReduceOp.MAX)
        first = int(least)
    if first == len(tried):
        raise devices.too_large(device)
    return tried[first]


def _fits(network: Network, trainer: config.Trainer, device: torch.device, sample: Sample) -> bool:
    """Whether a training step on the sample is possible; leaves the network as it is, and the device empty."""
    try:
        trial = copy.deepcopy(network).to(device).train()
        optimizer = torch.optim.AdamW(trial.parameters())
        given = [part.to(device) for part in sample]
        kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(trainer.precision)
        for _ in range(STEPS):
            with torch.autocast(device.type, dtype=kind, enabled=kind is not None):
                loss = trial.loss(*given)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    except RuntimeError as error:
        if not devices.out_of_memory(error):
            raise
        return False
    finally:
        trial = optimizer = given = loss = None
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return True
