"""The one tree of errors a user can meet.

Every message answers three questions: what was expected, what was found, what to change.
The command line prints the message without a stack trace and exits with the class's ``exit_code``;
anything that is not a ``DaycastError`` is a defect of ours and keeps its trace.

    DaycastError
    ├── ConfigError      exit 2   a value, key or group in conf/ or on the command line
    ├── DataError        exit 3   the data, or the way to it
    │   ├── SourceError           the source could not be read
    │   ├── ContractError         a batch breaks its contract (its report is in quarantine)
    │   └── HistoryError          too little history for what was asked
    ├── ModelError       exit 4   a model could not be fitted, loaded or applied
    │   ├── TransformError        a transform can't be fitted or inverted soundly
    │   └── OutputError           a forecast breaks its output contract
    ├── PromotionError   exit 5   the gate said no, or could not be evaluated
    └── ToolError        exit 6   a tool we drive (DVC, MLflow, a database) failed or is missing
        └── MissingError          it answers, and does not have what it was asked for
"""

from __future__ import annotations


class DaycastError(Exception):
    """Something the user can mend.

    Args:
        expected: what would have been right.
        found: what was there instead.
        fix: what to change, as an imperative sentence.

    Attributes:
        evidence: JSON-able, such as the checks of a gate; for machines, as the message is for people.
    """

    exit_code = 1
    evidence: dict[str, object] | None = None

    def __init__(self, expected: str, found: str, fix: str) -> None:
        self.expected, self.found, self.fix = expected, found, fix
        super().__init__(expected, found, fix)

    def __str__(self) -> str:
        return f"expected: {self.expected}\nfound:    {self.found}\nfix:      {self.fix}"

    def to_json(self) -> dict[str, object]:
        """As JSON-able values."""
        told = {"expected": self.expected, "found": self.found, "fix": self.fix, "exit_code": self.exit_code}
        return {"type": type(self).__name__, **told, "evidence": self.evidence}


class ConfigError(DaycastError):
    """A value, key or group in ``conf/`` or on the command line is wrong."""

    exit_code = 2


class DataError(DaycastError):
    """The data, or the way to it, is wrong."""

    exit_code = 3


class SourceError(DataError):
    """A source could not be read."""


class ContractError(DataError):
    """A batch breaks the dataset's contract; it lies in quarantine with its report."""


class HistoryError(DataError):
    """Too little history for what was asked."""


class ModelError(DaycastError):
    """A model could not be fitted, loaded or applied."""

    exit_code = 4


class TransformError(ModelError):
    """A transform can't be fitted or inverted soundly."""


class OutputError(ModelError):
    """A forecast breaks its output contract (finite, complete, in range)."""


class PromotionError(DaycastError):
    """The gate refused, or could not be evaluated."""

    exit_code = 5


class ToolError(DaycastError):
    """A tool that daycast drives failed or is missing."""

    exit_code = 6


class MissingError(ToolError):
    """A tool answers, and does not have what it was asked for: asking again does not help."""


# What files or tags that daycast did not write may raise; a want of memory is none of these, and lets nobody through.
FAULTS = (LookupError, TypeError, ValueError, AttributeError, ImportError, FileNotFoundError)


def unanswered(error: BaseException | None) -> bool:
    """Whether a tool failed or is down, which says nothing of what it was asked about."""
    return isinstance(error, ToolError) and not isinstance(error, MissingError)
