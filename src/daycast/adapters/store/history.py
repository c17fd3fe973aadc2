"""The history of champions: appended to, one move at a time, and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, insert, select

from daycast.adapters.store.locking import lock
from daycast.adapters.store.tables import promotions


@dataclass(frozen=True)
class Move:
    """A change of the version that forecasts.

    Attributes:
        kind: ``promotion``, by the gate; ``rollback``, to a former champion; ``override``, by hand past the gate;
            ``outside``, by other means than daycast.
        run_id: the training run that made the version moved to; empty where nobody knows.
        from_version: the champion before; ``None`` if there was none.
        to_version: the champion from then on.
        decision: the evidence.
        actor: who, as ``user@machine``.
        reason: why, in words.
    """

    kind: str
    run_id: str
    from_version: str | None
    to_version: str
    decision: dict[str, Any]
    actor: str
    reason: str


@dataclass(frozen=True)
class Turn:
    """The right to move a dataset's champion, held until the block of ``moving`` ends."""

    connection: Connection
    dataset: str

    @property
    def newest(self) -> str | None:
        """The version that the last move led to; ``None`` before the first."""
        return self._newest("to_version")

    def moves(self) -> pd.DataFrame:
        """As ``read_promotions``, of what is there in this turn."""
        return _read(self.connection, self.dataset)

    def append(self, move: Move) -> None:
        """Write down a move, under the next number."""
        number = (self._newest("number") or 0) + 1
        told = {"dataset": self.dataset, "number": number, "decided_at": datetime.now(UTC), **asdict(move)}
        self.connection.execute(insert(promotions).values(told))

    def _newest(self, column: str) -> Any:
        query = select(promotions.c[column]).where(promotions.c.dataset == self.dataset)
        return self.connection.execute(query.order_by(promotions.c.number.desc()).limit(1)).scalar_one_or_none()


@contextmanager
def moving(engine: Engine, dataset: str) -> Iterator[Turn]:
    """Inside the block nobody else moves the dataset's champion; if it raises, nothing of it was written down.

    Others wait, so what takes long is done before.
    """
    with engine.connect() as connection:
        lock(connection, f"daycast champion of {dataset}")
        yield Turn(connection, dataset)
        connection.commit()


def read_promotions(engine: Engine, dataset: str) -> pd.DataFrame:
    """The moves of a dataset's champion, oldest first: the fields of ``Move``, ``number``, ``decided_at`` in UTC."""
    with engine.connect() as connection:
        return _read(connection, dataset)


def _read(connection: Connection, dataset: str) -> pd.DataFrame:
    query = select(promotions).where(promotions.c.dataset == dataset).order_by(promotions.c.number)
    rows = pd.read_sql(query, connection)
    return rows.assign(decided_at=pd.to_datetime(rows["decided_at"], utc=True))
