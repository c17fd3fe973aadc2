"""A run made again from its record: the path of training, without what it would come to."""

from __future__ import annotations

from prefect import flow

from daycast import models
from daycast.config import Config
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import DataRef
from flows import modelling


@flow(name="repeating", flow_run_name="repeating {name}", validate_parameters=False)
def repeating(config: Config, data: DataRef, name: str) -> Outcome:  # noqa: ARG001 - named by it
    """Search, fit and judge every model of a configuration; nothing is registered.

    Args:
        config: as it was recorded.
        data: loaded by its version.
        name: of the run that is made again.
    """
    models.import_libraries(config.model.values())
    return modelling.modelled(config, data, "backtest")
