"""What a check found, as JSON-able entries, and as words for the person who has to mend the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from daycast.adapters.expectations.suite import Rule

POSITION = "position in the file"  # a column of that name tells Great Expectations the index of a frame

SHOWN = 20  # rows of a report's entry
TOLD_CHECKS, TOLD_ROWS = 8, 3  # of a message


def entry(rule: Rule, result: Mapping[str, Any], frame: pd.DataFrame, unit: str) -> dict[str, Any]:
    """One check of the report.

    Args:
        result: what Great Expectations found.
        frame: the rows it looked at, their index the position in the file.
        unit: ``line`` of a text file (the header is line 1) or ``row`` of a table (the first is 1).
    """
    found = result["result"]
    count = int(found.get("unexpected_count", 0))
    where = sorted(int(row[POSITION]) for row in found.get("partial_unexpected_index_list") or [])
    where = where[:SHOWN]
    return {
        "name": rule.name,
        "column": rule.column,
        "success": bool(result["success"]),
        "expected": rule.expected,
        "found": _found(rule, found, count, frame),
        "unexpected_count": count,
        "rows": [
            {
                unit: position + (2 if unit == "line" else 1),
                "values": {c: _plain(frame.at[position, c]) for c in rule.show},
            }
            for position in where
        ],
    }


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


def _found(rule: Rule, found: Mapping[str, Any], count: int, frame: pd.DataFrame) -> str:
    if rule.name == "columns":
        asked, there = rule.options["column_set"], list(frame.columns)
        missing, other = [c for c in asked if c not in there], [c for c in there if c not in asked]
        parts = [f"no {', '.join(missing)}"] * bool(missing) + [f"undeclared {', '.join(other)}"] * bool(other)
        return "; ".join(parts) or "all of them"
    if "observed_value" in found:
        return str(found["observed_value"])
    return f"{count} of {len(frame)} rows break it" if count else "all rows"


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
