"""Hyperparameter search by Optuna: propose, prune, remember the study. It knows nothing of folds or models."""

from daycast.adapters.search.records import Objective, Report, SearchResult, TrialRecord
from daycast.adapters.search.running import begin, importances, search, take_part

__all__ = ["Objective", "Report", "SearchResult", "TrialRecord", "begin", "importances", "search", "take_part"]
