"""The files of a version: fetched, or why they can't be."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from daycast.adapters.mlflow_client import connected
from daycast.adapters.registry.package import STORED
from daycast.errors import MissingError, ToolError

MLMODEL = "MLmodel"


def fetch(uri: str, at: str, folder: Path | None) -> Path:
    """The folder of an MLflow model on this machine: below ``folder``, or wherever MLflow likes.

    Raises:
        MissingError: the store of files answers, and has nothing there.
        ToolError: it does not answer.
    """
    from mlflow.artifacts import download_artifacts

    target = None if folder is None else str(folder)
    try:
        return Path(download_artifacts(at, dst_path=target, tracking_uri=uri, registry_uri=uri))
    except Exception as error:  # each kind of store has errors of its own
        wanted = f"files of a model at {at}"
        if _absent(uri, at):
            found = f"MLflow at {uri} answers, and there are none"
            raise MissingError(wanted, found, "restore them from a backup, or take another version") from error
        raise ToolError(
            wanted, f"{type(error).__name__}: {error}", "check that MLflow's store of files is up"
        ) from error


def _absent(uri: str, at: str) -> bool:
    """Whether the store of files answers, and has nothing at an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder, _, name = at.rstrip("/").rpartition("/")
    try:
        return name not in {file.path for file in get_artifact_repository(folder, tracking_uri=uri).list_artifacts()}
    except Exception:  # noqa: BLE001  # it does not answer: each kind of store has errors of its own
        return False


def lost(uri: str, name: str, number: str) -> str | None:
    """Why the files of a version can't be had whole; ``None`` if they can. They are listed, and only one is fetched.

    Raises:
        ToolError: MLflow does not answer; not of a store of files that does not, which is told.
    """
    with connected(uri) as client:
        at = client.get_model_version_download_uri(name, number)
    try:
        missing = _missing(uri, at)
    except Exception as error:  # noqa: BLE001  # each kind of store has errors of its own
        return f"its files at {at} can't be listed: {type(error).__name__}: {error}"
    return missing and f"its files at {at} are not there any more, or not whole: {missing}"


def _missing(uri: str, at: str) -> str | None:
    """What is missing, beside what the MLmodel, which is written last, says that there was."""
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    sizes = _sizes(uri, at)
    if MLMODEL not in sizes:
        return f"no {MLMODEL}"
    with tempfile.TemporaryDirectory() as folder:
        told = Model.load(download_artifacts(f"{at}/{MLMODEL}", dst_path=folder, tracking_uri=uri))
    of_model = told.flavors["python_function"]
    wanted = [entry["path"] for entry in of_model["artifacts"].values()]
    wanted.append(PurePosixPath(of_model["model_code_path"]).name)
    for path in wanted:
        if not any(file == path or file.startswith(f"{path}/") for file in sizes):
            return f"no {path}"
    found = sum(size for file, size in sizes.items() if file != MLMODEL and not file.startswith(f"{STORED}/"))
    # As MLflow counted before it wrote the rest; and not every store tells sizes.
    least = (told.model_size_bytes or 0) if sizes[MLMODEL] else 0
    return f"{found:,} bytes, of {least:,} at least" if found < least else None


def _sizes(uri: str, at: str) -> dict[str, int]:
    """Path -> bytes of every file below an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    store, found, folders = get_artifact_repository(at, tracking_uri=uri), dict[str, int](), [""]
    while folders:
        for entry in store.list_artifacts(folders.pop() or None):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                found[entry.path] = entry.file_size or 0
    return found
