"""Processes by their session: what a command that had one of its own has started, and what is left of it."""

from __future__ import annotations

from pathlib import Path


def processes(session: int) -> dict[int, tuple[int, str]]:
    """Parent and command line of each of a session's processes."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, own = stat.read_text().rpartition(")")[2].split()[:4]
            words = stat.with_name("cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if int(own) == session and state != "Z":
            found[int(stat.parent.name)] = int(parent), words
    return found
