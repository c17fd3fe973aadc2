"""Versions and aliases of a registered model."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from daycast.adapters.mlflow_client import connected
from daycast.adapters.registry.files import fetch
from daycast.adapters.registry.package import Candidate, prove, read, write
from daycast.errors import PromotionError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.pyfunc import PyFuncModel

KEY = "daycast.key"
ABOUT = (
    "Forecasters of one dataset. The version called `champion` makes its forecasts; `challenger` is the candidate that "
    "led the newest run, whether it passed the gate or not."
)
UNFINISHED_S = 3600.0  # age of an upload without a version at which nobody works on it any more
_ONE_AT_A_TIME = threading.Lock()  # MLflow hands a model that comes as code over in a global variable


@dataclass(frozen=True)
class Version:
    """A version of a registered model; ``number`` counts from 1."""

    name: str
    number: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A version, ready: ``model.predict(frame, params={"horizon": H})``; the MLflow model's files lie in ``folder``."""

    version: Version
    model: PyFuncModel
    folder: Path


def model_name(dataset: str) -> str:
    """Name of a dataset's registered model."""
    return f"daycast-{dataset}"


def register(uri: str, name: str, run_id: str, key: str, candidate: Candidate, tags: Mapping[str, str]) -> Version:
    """The version of the registered model ``name`` with this key: found, or made from ``candidate``.

    It is uploaded, loaded back and compared with the example before the version is made: one that exists, works.

    Raises:
        ModelError: what was loaded back fails, or forecasts otherwise; no version is made.
        ToolError: MLflow refuses.
    """
    tags = {**tags, KEY: key}
    with connected(uri) as client, _ONE_AT_A_TIME:
        _ensure(client, name)
        found = client.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")
        if found:
            return _with_aliases(client, name, found)[0]
        experiment = client.get_run(run_id).info.experiment_id
        for upload in client.search_logged_models([experiment], f"tags.`{KEY}` = '{key}'"):
            # Of a process that died before it made the version; a young one may be of a process that lives.
            if time.time() - upload.creation_timestamp / 1000 > UNFINISHED_S:
                client.delete_logged_model(upload.model_id)
        model = _uploaded(client, experiment, run_id, candidate, tags)
        proven = False
        try:
            prove(read(fetch(uri, model.artifact_location, None)), candidate.example)
            proven = True
        finally:
            if not proven:
                client.delete_logged_model(model.model_id)
        found = client.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")
        if found:  # another process was faster
            client.delete_logged_model(model.model_id)
            return _with_aliases(client, name, found)[0]
        return _made(client, name, run_id, model, tags, candidate.summary)


def versions(uri: str, name: str) -> list[Version]:
    """All versions, newest first; none if there is no such model."""
    with connected(uri) as client:
        found = client.search_model_versions(f"name = '{name}'")
        every = _with_aliases(client, name, found) if found else []
        return sorted(every, key=lambda v: -int(v.number))


def find(uri: str, name: str, number: str) -> Version | None:
    """A version by its number, or ``None``."""
    return next((v for v in versions(uri, name) if v.number == number), None)


def by_alias(uri: str, name: str, alias: str) -> Version | None:
    """The version that carries the alias, or ``None``."""
    from mlflow.exceptions import MlflowException

    with connected(uri) as client:
        try:
            return _with_aliases(client, name, [client.get_model_version_by_alias(name, alias)])[0]
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def set_alias(uri: str, name: str, alias: str, number: str) -> None:
    """Let the alias name this version, and no other any more."""
    with connected(uri) as client:
        client.set_registered_model_alias(name, alias, number)


def tag(uri: str, name: str, number: str, tags: Mapping[str, str], description: str | None = None) -> None:
    """Set tags of a version, and its description: Markdown, of 5000 characters at most."""
    with connected(uri) as client:
        if description is not None:
            client.update_model_version(name, number, description)
        for key, value in tags.items():
            client.set_model_version_tag(name, number, key, value)


def unset_alias(uri: str, name: str, alias: str) -> None:
    """Let the alias name no version."""
    with connected(uri) as client:
        client.delete_registered_model_alias(name, alias)


def load(uri: str, name: str, which: str, folder: Path | None = None) -> Loaded:
    """A version by its number or by an alias such as ``champion``, ready to forecast.

    Args:
        folder: where the files of a server's store are put; ``None`` for a temporary folder.

    Raises:
        PromotionError: no version has this alias.
        MissingError: there is no such version, or its files are gone.
        ModelError: the version can't be loaded.
    """
    version = _by_number(uri, name, which) if which.isdigit() else required(uri, name, which)
    with connected(uri) as client:
        at = fetch(uri, client.get_model_version_download_uri(name, version.number), folder)
    with _ONE_AT_A_TIME:
        return Loaded(version, read(at), at)


def required(uri: str, name: str, alias: str) -> Version:
    """The version that carries the alias. Raises ``PromotionError`` if none does."""
    version = by_alias(uri, name, alias)
    if version is None:
        raise PromotionError(
            f"a {alias} of {name}",
            f"no version with the alias `{alias}`",
            f"run `daycast run dataset={name.removeprefix('daycast-')}` first",
        )
    return version


def link(uri: str, name: str, number: str | None) -> str | None:
    """Address of a version, or without a number of its model, in the server's UI; ``None`` without a server."""
    page = f"{uri.rstrip('/')}/#/models/{name}" if uri.startswith("http") else None
    return page if page is None or number is None else f"{page}/versions/{number}"


def _by_number(uri: str, name: str, number: str) -> Version:
    with connected(uri) as client:
        return _with_aliases(client, name, [client.get_model_version(name, number)])[0]


def _made(
    client: MlflowClient, name: str, run_id: str, model: LoggedModel, tags: Mapping[str, str], summary: str
) -> Version:
    client.finalize_logged_model(model.model_id, "READY")
    # A server resolves the model's id, and its UI links it. An embedded registry would look it up in MLflow's global
    # store instead of this one, so it gets the place itself.
    server = client.tracking_uri.startswith("http")
    source = f"models:/{model.model_id}" if server else model.artifact_location
    made = client.create_model_version(
        name, source, run_id, tags=dict(tags), model_id=model.model_id, description=summary
    )
    told = json.dumps([{"name": name, "version": str(made.version)}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": told})  # the link from model to version
    return _with_aliases(client, name, [made])[0]


def _uploaded(
    client: MlflowClient, experiment: str, run_id: str, candidate: Candidate, tags: Mapping[str, str]
) -> LoggedModel:
    from mlflow.entities import LoggedModelOutput

    entry = client.create_logged_model(
        experiment, tags.get("daycast.model"), source_run_id=run_id, tags=dict(tags), model_type="forecaster"
    )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "model"), candidate, entry, run_id)
        client.log_model_artifacts(entry.model_id, str(Path(folder, "model")))
    client.log_outputs(run_id, [LoggedModelOutput(entry.model_id, step=0)])
    return entry


def _ensure(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _with_aliases(client: MlflowClient, name: str, found: list[ModelVersion]) -> list[Version]:
    # A search leaves the aliases of versions out; the registered model has them all.
    aliases = client.get_registered_model(name).aliases
    return [
        Version(
            v.name, str(v.version), v.run_id or "", dict(v.tags), tuple(a for a, n in aliases.items() if n == v.version)
        )
        for v in found
    ]
