"""What a check found, as JSON-able entries, and as words for the person who has to mend the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from daycast.adapters.expectations.suite import Rule
from daycast.core.raw import POSITION

SHOWN = 20  # rows of a report's entry
TOLD_CHECKS, TOLD_ROWS = 8, 3  # of a message


@dataclass
class Found:
    """What was found of one rule, in one part of a batch after the other.

    Attributes:
        rule: what was asked.
        success: whether no part broke it.
        count, looked_at: rows that break it, and all.
        observed: a figure of it; of several parts the sum, as the only one there is the number of rows.
        rows: the first that break it, by their position in the file: its columns that are to be shown.
        there: columns of the batch.
    """

    rule: Rule
    success: bool = True
    count: int = 0
    looked_at: int = 0
    observed: Any = None
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    there: tuple[str, ...] = ()

    def add(self, result: Mapping[str, Any], frame: pd.DataFrame) -> None:
        """One more part.

        Args:
            result: what Great Expectations found in it.
            frame: the rows it looked at, their index the position in the file.
        """
        found = result["result"]
        self.success &= bool(result["success"])
        self.count += int(found.get("unexpected_count", 0))
        self.looked_at += len(frame)
        self.there = tuple(frame.columns)
        value = found.get("observed_value")
        self.observed = self.observed + value if isinstance(self.observed, int) else value
        where = sorted(int(row[POSITION]) for row in found.get("partial_unexpected_index_list") or [])
        for position in where[:SHOWN]:
            self.rows[position] = {c: _plain(frame.at[position, c]) for c in self.rule.show}
        self.rows = {position: self.rows[position] for position in sorted(self.rows)[:SHOWN]}

    def entry(self, unit: str) -> dict[str, Any]:
        """One check of the report.

        Args:
            unit: ``line`` of a text file (the header is line 1) or ``row`` of a table (the first is 1).
        """
        first = 2 if unit == "line" else 1
        return {
            "name": self.rule.name,
            "column": self.rule.column,
            "success": self.success,
            "expected": self.rule.expected,
            "found": self._told(),
            "unexpected_count": self.count,
            "rows": [{unit: position + first, "values": values} for position, values in self.rows.items()],
        }

    def _told(self) -> str:
        if self.rule.name == "columns":
            asked = self.rule.options["column_set"]
            missing, other = [c for c in asked if c not in self.there], [c for c in self.there if c not in asked]
            parts = [f"no {', '.join(missing)}"] * bool(missing) + [f"undeclared {', '.join(other)}"] * bool(other)
            return "; ".join(parts) or "all of them"
        if self.observed is not None:
            return str(self.observed)
        return f"{self.count} of {self.looked_at} rows break it" if self.count else "all rows"


def text(report: Mapping[str, Any]) -> tuple[str, str]:
    """What was expected of the failed checks, and what was found, for a message."""
    failed = [c for c in report["checks"] if not c["success"]]
    expected = "\n".join(f"  {_title(c)}: {c['expected']}" for c in failed[:TOLD_CHECKS])
    found = "\n".join(line for c in failed[:TOLD_CHECKS] for line in _lines(c))
    more = f"\n  and {len(failed) - TOLD_CHECKS} more checks fail" if len(failed) > TOLD_CHECKS else ""
    return expected, found + more


def _title(check: Mapping[str, Any]) -> str:
    return f"{check['column']} ({check['name']})" if check["column"] else str(check["name"])


def _lines(check: Mapping[str, Any]) -> list[str]:
    rows = check["rows"][:TOLD_ROWS]
    told = [f"    {_place(row)}: " + ", ".join(f"{c}={value!r}" for c, value in row["values"].items()) for row in rows]
    left = check["unexpected_count"] - len(rows)
    return [f"  {_title(check)}: {check['found']}", *told, *([f"    and {left} more"] if rows and left > 0 else [])]


def _place(row: Mapping[str, Any]) -> str:
    return f"line {row['line']}" if "line" in row else f"row {row['row']}"


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
