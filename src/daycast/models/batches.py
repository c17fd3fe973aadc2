"""Whole batches of windows, gathered as they are asked for; nothing here grows with the number of windows but an order
of those that are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daycast import config
from daycast.core import stepwise
from daycast.core.permutation import permuted
from daycast.core.windows import Windows
from daycast.errors import ModelError

Sample = tuple[Tensor, ...]
"""A batch: past ``(B, L, C+F)``, future ``(B, H, F)``, static ``(B, S)`` (with the series' number ``(B, S+1)``), target
``(B, H, K)`` or ``(B, L, H, K)``."""

Index = NDArray[np.int64]
LISTED = 2**22
"""Windows whose order is drawn as a list, of 8 bytes each; that of more is computed as it is read."""


@dataclass(frozen=True)
class Batch:
    """What a training step is made of.

    Attributes:
        size: windows, over all devices.
        parts: how many parts each device's share is computed in, one after the other.
        rate: learning rate.
    """

    size: int
    parts: int
    rate: float


class Form(NamedTuple):
    """What a batch holds: the targets of every step of the lookback, not of the last alone; static covariates that end
    with the number of the window's group."""

    every_step: bool = False
    numbered: bool = False


@dataclass(frozen=True)
class Share:
    """What of each batch one process gets: one of ``processes`` equal shares, itself in ``parts`` parts.

    Parts follow one another, and their gradients add up to that of the share.
    """

    process: int = 0
    processes: int = 1
    parts: int = 1

    @property
    def whole(self) -> bool:
        """Whether it is all of a batch, at once."""
        return self.processes * self.parts == 1


class Batches:
    """Whole batches of windows, of sizes that differ by one at most; in random order if a generator is given.

    A plain iterable: torch's ``DataLoader`` gathers window by window, which costs more than the step it feeds.

    Args:
        size: windows of a batch, all shares together.
        share: this process's own.
        steps: batches of one pass through this iterable, each of which goes on in the order of windows where the one
            before ended; ``None``: every window once.
        chosen: numbers of the windows that count, ``None`` for all.

    Raises:
        ModelError: a batch has fewer windows than there are shares and parts.
    """

    def __init__(
        self,
        windows: Windows,
        size: int,
        shuffle: torch.Generator | None = None,
        *,
        form: Form = Form(),  # noqa: B008 - immutable
        share: Share = Share(),
        steps: int | None = None,
        chosen: Index | None = None,
    ) -> None:
        self._windows, self._shuffle, self._form = windows, shuffle, form
        self.share, self._steps, self._chosen = share, steps, chosen
        self._count = len(windows) if chosen is None else len(chosen)
        self._batches = -(-self._count // size)  # of all windows once
        self._order: Callable[[Index], Index] = self._in_order
        self._next = 0
        if self._count // self._batches < share.processes * share.parts:
            raise ModelError(
                f"batches of at least {share.processes * share.parts} windows, one for each device and part",
                f"{self._count} windows in {self._batches} batches",
                "take fewer devices (trainer.devices), larger batches, or more history",
            )

    def __len__(self) -> int:
        return (self._steps or self._batches) * self.share.parts

    def __iter__(self) -> Iterator[Sample]:
        if self._steps is None:
            self._next = 0
        for _ in range(self._steps or self._batches):
            if self._next == 0:
                self._order = self._drawn()
            first, after = self._bounds(self._next), self._bounds(self._next + 1)
            self._next = (self._next + 1) % self._batches
            index = self._order(np.arange(first, after))
            own = np.array_split(index, self.share.processes)[self.share.process]
            for part in np.array_split(own, self.share.parts):
                yield sample(self._windows, part, self._form)

    def weight(self, item: int, size: int) -> float:
        """What an item of ``size`` windows counts for, so that the mean over shares is the mean over the batch.

        Args:
            item: its number, over all passes.
        """
        batch = item // self.share.parts % self._batches
        whole = self._bounds(batch + 1) - self._bounds(batch)
        return size * self.share.processes * self.share.parts / whole

    def _bounds(self, batch: int) -> int:
        size, more = divmod(self._count, self._batches)
        return batch * size + min(batch, more)

    def _drawn(self) -> Callable[[Index], Index]:
        if self._shuffle is None:
            return self._in_order
        if self._count <= LISTED:
            return torch.randperm(self._count, generator=self._shuffle).numpy().__getitem__
        key = int(torch.randint(2**62, (), generator=self._shuffle))
        return lambda index: permuted(index, self._count, key)

    def _in_order(self, index: Index) -> Index:
        return index if self._chosen is None else self._chosen[index]


def sample(windows: Windows, index: Index, form: Form) -> Sample:
    """The windows numbered ``index (B,)``."""
    batch = windows.batch(index)
    if form.every_step:
        batch = batch._replace(target=stepwise.targets(windows, index))
    if form.numbered:
        number = windows.runs.at(index)[0][:, None].astype(np.float32)
        batch = batch._replace(static=np.concatenate([batch.static, number], axis=1))
    return tuple(torch.from_numpy(array) for array in batch)


def training(windows: Windows, trainer: config.Trainer, form: Form, seed: int, batch: Batch, process: int) -> Batches:
    """What a process of the trainer learns from."""
    return Batches(
        windows,
        batch.size,
        torch.Generator().manual_seed(seed),
        form=form,
        share=Share(process, trainer.processes, batch.parts),
        steps=None if trainer.max_steps is None else trainer.max_steps // trainer.max_epochs,
    )


def validation(windows: Windows, trainer: config.Trainer, form: Form, seed: int, batch: Batch, process: int) -> Batches:
    """What a process of the trainer takes its share of the validation loss from, ``validation_windows`` at most."""
    return Batches(
        windows,
        max(batch.size // batch.parts, 512),
        form=form._replace(every_step=False),
        share=Share(process, trainer.processes),
        chosen=some(len(windows), trainer.validation_windows, seed),
    )


def some(count: int, most: int | None, seed: int) -> Index | None:
    """At most so many of ``count`` windows, ascending: those that ``seed`` draws; ``None`` for all of them."""
    if most is None or count <= most:
        return None
    return np.sort(permuted(np.arange(most), count, seed))
