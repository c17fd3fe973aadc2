"""Ctrl-C: end the work soon, tidily if that is soon enough, and leave no process behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from daycast.errors import INTERRUPTED
from daycast.steps import progress

GRACE_S = 10.0  # for what can't be stopped in between, such as one fit of a SARIMA


@contextmanager
def handled() -> Iterator[None]:
    """Inside the block, the first Ctrl-C stops the work, and a second one, or the end of its grace, the process.

    Python raises ``KeyboardInterrupt`` in the main thread alone; steps in other threads meet it where they tell their
    progress. Ending at once is sound too: every step can be killed at any moment and be run again.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if progress.stopping.is_set():
            _end()
        progress.stopping.set()
        timer.start()
        sys.stderr.write("\ndaycast: stopping; Ctrl-C again stops at once\n")
        raise KeyboardInterrupt

    timer = threading.Timer(GRACE_S, _end)
    timer.daemon = True
    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        # Only a process that ends anyway keeps the timer: it also bounds the wait for threads at its exit.
        if not progress.stopping.is_set():
            signal.signal(signal.SIGINT, before)


def _end() -> None:
    """Leave now, with the processes that this one has started."""
    for tasks in Path("/proc/self/task").glob("*/children"):
        for child in tasks.read_text().split():
            os.kill(int(child), signal.SIGTERM)
    os._exit(INTERRUPTED)
