"""Progress as events: steps emit, whoever shows it listens. Nobody listening costs nothing.

It goes both ways: where a step tells its progress, it also learns that it shall stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something moved.

    Attributes:
        step: the step's name, such as ``tune``.
        subject: the model or dataset it is about.
        done, total: how far the step is; ``total`` 0 where it can't be told.
        note: what is going on, such as ``trial 3 of 6, epoch 12 of 60``.
    """

    step: str
    subject: str
    done: int
    total: int
    note: str = ""


Listener = Callable[[Event], None]
_listeners: list[Listener] = []

stopping = threading.Event()
"""Set it to end the work: every ``emit`` then raises ``KeyboardInterrupt``, in whichever thread its step runs."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` for every event of this process inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def emit(step: str, subject: str, done: int, total: int, note: str = "") -> None:
    """Tell all listeners.

    Raises:
        KeyboardInterrupt: the work shall end.
    """
    if stopping.is_set():
        raise KeyboardInterrupt
    tell(Event(step, subject, done, total, note))


def tell(event: Event) -> None:
    """Call all listeners with what a step told, perhaps in another process."""
    for listener in tuple(_listeners):
        listener(event)
