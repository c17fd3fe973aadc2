"""The suite of a contract: rules, each an expectation of Great Expectations with its words for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from daycast.config.dataset import Column, Dataset
from daycast.core import batch

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

KINDS = {"int": "whole numbers", "float": "numbers", "str": "text", "date": "dates"}


@dataclass(frozen=True)
class Rule:
    """One thing a contract asks for.

    Attributes:
        name: which kind of rule; with ``column`` it is unique in a suite.
        column: what it is about, for people; ``None`` if about the whole batch.
        expected: what would be right, for people.
        show: columns that a row which breaks it is shown with.
        kind, options: the expectation's class in ``great_expectations.expectations``, and its arguments.
    """

    name: str
    column: str | None
    expected: str
    show: tuple[str, ...]
    kind: str
    options: dict[str, Any]

    def expectation(self, position: int) -> Expectation:
        """The expectation; ``position`` comes back with its result, which come in no order."""
        from great_expectations import expectations

        made: Expectation = getattr(expectations, self.kind)(
            severity="critical", meta={"rule": position}, notes=f"{self.name}: {self.expected}", **self.options
        )
        return made


def columns_rule(dataset: Dataset, derived: Sequence[str]) -> Rule:
    """The batch has the declared columns and no other, beside the ones derived from them."""
    declared = list(dataset.contract.columns)
    options = {"column_set": [*declared, *derived], "exact_match": True}
    return Rule("columns", None, ", ".join(declared), (), "ExpectTableColumnsToMatchSet", options)


def rules(dataset: Dataset) -> Iterator[Rule]:
    """Everything else that the contract asks of a batch measured by ``core.batch``."""
    contract, read = dataset.contract, dataset.read
    keys = (read.time,) if read.id is None else (read.id, read.time)
    yield Rule("some rows", None, "at least one row", (), "ExpectTableRowCountToBeBetween", {"min_value": 1})
    for name, column in contract.columns.items():
        yield from _column_rules(dataset, name, column, keys)
    yield _null("on the grid", read.time, batch.OFF_GRID, f"timestamps at freq {dataset.freq}", keys)
    # Its words tell no date, so that the report of a good batch stays what it is.
    ahead = f"values up to now, by the clock of {dataset.timezone}"
    yield _null("not of the future", read.time, batch.AHEAD, ahead, (*keys, batch.AHEAD))
    yield _unique(dataset)
    if contract.gaps == "error":
        yield Rule(
            "no gaps", read.time, f"no timestamp absent inside a series (freq {dataset.freq})", (*keys, batch.ABSENT),
            "ExpectColumnValuesToBeBetween", {"column": batch.ABSENT, "max_value": 0},
        )  # fmt: skip
    for identity in contract.identities:
        added = batch.total(identity.sum)
        expected = f"{added} = {identity.equals}"
        show = (*keys, *identity.sum, identity.equals)
        yield _pair("identity", identity.equals, added, batch.number(identity.equals), expected, show)
    if contract.day_type is not None:
        expected = "day types of the calendar (A on Saturdays, U on Sundays and the holidays of `sunday_service`)"
        show = (*keys, contract.day_type, batch.BY_CALENDAR)
        yield _pair("calendar", contract.day_type, contract.day_type, batch.BY_CALENDAR, expected, show)
    if read.id is not None:
        for static in dataset.covariates.static:
            first = batch.first_of_series(static)
            yield _pair("static", static, static, first, "one value per series", (*keys, static, first))


def freshness_rule(dataset: Dataset, oldest: pd.Timestamp) -> Rule:
    """The newest row is not older than ``oldest``."""
    return Rule(
        "freshness", dataset.read.time,
        f"a newest row of {oldest.date()} or later (contract.max_age_days {dataset.contract.max_age_days})", (),
        "ExpectColumnMaxToBeBetween", {"column": batch.TIME, "min_value": oldest},
    )  # fmt: skip


def _column_rules(dataset: Dataset, name: str, column: Column, keys: tuple[str, ...]) -> Iterator[Rule]:
    show = tuple(dict.fromkeys((*keys, name)))
    kind = KINDS[column.type]
    if name == dataset.read.time and dataset.read.time_format is not None:
        kind = f"dates written as {dataset.read.time_format}"
    yield _null("type", name, batch.unreadable(name), kind, show)
    if not column.nullable:
        yield Rule("not missing", name, "a value on every row", show, "ExpectColumnValuesToNotBeNull", {"column": name})
    if column.allowed is not None:
        yield Rule(
            "allowed", name, f"one of {', '.join(column.allowed)}", show,
            "ExpectColumnValuesToBeInSet", {"column": name, "value_set": list(column.allowed)},
        )  # fmt: skip
    if column.min is not None or column.max is not None:
        low, high = (f"{bound:,.10g}" if bound is not None else "…" for bound in (column.min, column.max))
        yield Rule(
            "range", name, f"{low} to {high}", show, "ExpectColumnValuesToBeBetween",
            {"column": batch.number(name), "min_value": column.min, "max_value": column.max},
        )  # fmt: skip


def _null(name: str, column: str, derived: str, expected: str, show: tuple[str, ...]) -> Rule:
    return Rule(name, column, expected, show, "ExpectColumnValuesToBeNull", {"column": derived})


def _pair(name: str, column: str, left: str, right: str, expected: str, show: tuple[str, ...]) -> Rule:
    options = {"column_A": left, "column_B": right, "ignore_row_if": "either_value_is_missing"}
    return Rule(name, column, expected, show, "ExpectColumnPairValuesToBeEqual", options)


def _unique(dataset: Dataset) -> Rule:
    read = dataset.read
    what = "timestamp" if read.id is None else "series and timestamp"
    expected = f"one row per {what}, once exact duplicates are dropped"
    show = tuple(dataset.contract.columns)  # what the rows differ in may be any column
    if read.id is None:
        return Rule("unique", read.time, expected, show, "ExpectColumnValuesToBeUnique", {"column": batch.TIME})
    options = {"column_list": [read.id, batch.TIME], "ignore_row_if": "any_value_is_missing"}
    return Rule("unique", read.time, expected, show, "ExpectCompoundColumnsToBeUnique", options)
