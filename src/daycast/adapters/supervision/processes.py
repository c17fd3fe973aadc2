"""Processes of this machine, by the mark in their environment, and who holds a port."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from daycast.errors import ToolError

if TYPE_CHECKING:
    import psutil

MARK = "DAYCAST_SUPERVISED"  # in the environment of every process below, and so of all that they start
STOP_S = 20  # what a process is given to end before it is killed


def leftovers(folder: Path) -> list[psutil.Process]:
    """The processes that carry the mark of this folder, the supervisor's own and all that they started."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):  # another user's, or just ended
            continue
    return [p for p in found if p.pid != os.getpid()]


def end(processes: Sequence[psutil.Process]) -> None:
    """Ask them to end, and kill those that have not done so in time."""
    import psutil

    for process in processes:
        with _gone_is_fine():
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=STOP_S)
    for process in left:
        with _gone_is_fine():
            process.kill()
    psutil.wait_procs(left, timeout=STOP_S)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    import psutil

    try:
        yield
    except psutil.NoSuchProcess:
        return


def free_port(wanted: int, *, exactly: bool = False) -> int:
    """``wanted`` if nobody listens there on this machine, else any that is free.

    Raises:
        ToolError: it is taken, and no other one will do.
    """
    for port in (wanted, 0):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError as error:
                if exactly:
                    raise ToolError(
                        f"port {wanted} to be free", f"taken by {_holder(wanted)}", "name another one, or none"
                    ) from error
                continue
            return int(candidate.getsockname()[1])
    raise ToolError("a free port on this machine", "none", "end what holds them")


def _holder(port: int) -> str:
    import psutil

    for one in psutil.net_connections("inet"):
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
            return f"process {one.pid}, `{' '.join(psutil.Process(one.pid).cmdline()[:5])}`"
    return "a process of another user"
