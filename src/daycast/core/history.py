"""What a history of champions says of the way back."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


def former(moves: pd.DataFrame, champion: str | None) -> list[str]:
    """The champions before one, the newest first: those that each rollback after the other would go back to.

    A rollback is no step forward: of what it left, and of whatever was rolled back before, nothing is gone back to, so
    one rollback after the other goes further back each time. One that takes back a rollback is a step forward, and so
    is one that no move led to: whoever was champion by the last move is the one before.

    Args:
        moves: ``kind, from_version, to_version``, oldest first.
        champion: number of the version; ``None`` if there is none any more.
    """
    steps = _steps(moves)
    last = steps[-1].taken if steps else None
    stood = steps[-1].stood if steps else []
    return stood[::-1] if champion == last else _over(stood, last, champion)[::-1]


def served(moves: pd.DataFrame, version: str) -> list[tuple[pd.Timestamp, pd.Timestamp | None]]:
    """When a version was champion: from, to; ``None`` where it still is.

    Args:
        moves: ``to_version, decided_at``, oldest first.
    """
    spells: list[tuple[pd.Timestamp, pd.Timestamp | None]] = []
    for taken, when in moves[["to_version", "decided_at"]].itertuples(index=False):
        if spells and spells[-1][1] is None and taken != version:
            spells[-1] = (spells[-1][0], when)
        elif taken == version and (not spells or spells[-1][1] is not None):
            spells.append((when, None))
    return spells


def told(moves: pd.DataFrame, version: str, times: str) -> list[str]:
    """Each time that a version became champion and ceased to be it, by whom and why, oldest first.

    Args:
        moves: ``kind, from_version, to_version, actor, reason, decided_at``, oldest first.
        times: how points in time are written, in UTC.
    """
    out = []
    for line in moves[(moves["to_version"] == version) | (moves["from_version"] == version)].to_dict("records"):
        came = line["to_version"] == version
        other = line["from_version"] if came else line["to_version"]
        what = f"{'in place of' if came else 'gave way to'} version {other}" if other else "the first champion"
        when = pd.Timestamp(line["decided_at"]).strftime(times)
        out.append(f"{when} UTC, {line['kind']}: {what}, by {line['actor']}: {line['reason']}")
    return out


def rolled_back(moves: pd.DataFrame, version: str) -> bool:
    """Whether the last that happened to a version was that it was left by a rollback."""
    of = [line for line in _steps(moves) if line.taken == version or (line.back and line.left == version)]
    return bool(of) and of[-1].taken != version


class _Step(NamedTuple):
    """A move, whether it went back, and the former champions under the one in force after it, the newest last."""

    left: str | None
    taken: str
    back: bool
    stood: list[str]


def _steps(moves: pd.DataFrame) -> list[_Step]:
    out: list[_Step] = []
    stood: list[str] = []
    gone: list[str] = []  # what rollbacks left, the nearest last
    for kind, left, taken in moves[["kind", "from_version", "to_version"]].to_numpy().tolist():
        back, under = kind == "rollback" and taken not in gone, [] if left is None else [left]
        if back:
            over = stood[stood.index(taken) + 1 :] if taken in stood else []
            stood = stood[: stood.index(taken)] if taken in stood else stood
            gone = [*gone, *under, *reversed(over)]
        elif kind == "rollback":  # forward again, over what stood between
            at = gone.index(taken)
            stood = [*stood, *under, *(v for v in reversed(gone[at + 1 :]) if v != left)]
            gone = gone[:at]
        else:
            stood, gone = _over(stood, left, taken), []
        out.append(_Step(left, taken, back, stood))
    return out


def _over(stood: list[str], left: str | None, taken: str | None) -> list[str]:
    """The former champions after a step forward."""
    return [v for v in stood if v not in (left, taken)] + ([] if left is None else [left])
