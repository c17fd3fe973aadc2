"""Ctrl-C: end the work soon, tidily if that is soon enough, and leave no process behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from daycast.steps import progress

EXIT_CODE = 130  # by convention, 128 + SIGINT
GOES_ON = "daycast: interrupted; the same command goes on where this one stopped\n"
ANEW = "daycast: interrupted; the same command starts anew\n"
GRACE_S = 10.0  # for what can't be stopped in between, such as one fit of a SARIMA

starts_anew = threading.Event()  # set by a command that keeps nothing of what it has begun


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
    starts_anew.clear()
    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        if not progress.stopping.is_set():
            signal.signal(signal.SIGINT, before)
        else:  # whatever came of it on the way here; the timer stays, for threads that the exit of Python waits for
            sys.stderr.write(_told())
            sys.exit(EXIT_CODE)


def _told() -> str:
    return ANEW if starts_anew.is_set() else GOES_ON


def _end() -> None:
    """Leave now, with the processes that this one has started."""
    for tasks in Path("/proc/self/task").glob("*/children"):
        for child in tasks.read_text().split():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int(child), signal.SIGTERM)
    os.write(sys.stderr.fileno(), _told().encode())
    os._exit(EXIT_CODE)
