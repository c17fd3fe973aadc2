"""What something came from, link by link, down to bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Link:
    """One thing, what is known of it, and what it came from.

    Attributes:
        kind: forecast, version, run, configuration, code, data or file.
        name: which one, for people.
        facts: what is known of it, JSON-able.
        missing: why it can't be had any more; ``None`` if it can.
        links: what it came from.
    """

    kind: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None
    links: tuple[Link, ...] = ()

    def broken(self) -> Iterator[Link]:
        """What can't be had any more, from here down."""
        if self.missing is not None:
            yield self
        for link in self.links:
            yield from link.broken()

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values, links nested."""
        told = {"kind": self.kind, "name": self.name, **self.facts, "missing": self.missing}
        return {**told, "links": [link.to_json() for link in self.links]}
