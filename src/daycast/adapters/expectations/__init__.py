"""Whether a batch keeps its dataset's contract: a Great Expectations suite made from it, run, and told as a report."""

from daycast.adapters.expectations.checking import check, fresh
from daycast.adapters.expectations.report import text

__all__ = ["check", "fresh", "text"]
