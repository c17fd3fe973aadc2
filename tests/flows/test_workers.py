"""Workers of a cluster: which of them are refused, and how many networks they fit at once on a GPU."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.runtime import task_run
from tests.clusters import running
from tests.project import Project

from daycast.config import Config
from daycast.errors import ConfigError, ToolError
from flows import runners, tokens

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.timeout(900)]


@task
def busy(folder: Path, together: int) -> tuple[int, str]:
    """Be inside for a while, or until as many are; how many were at once, and the GPU at hand."""
    own = folder / f"{task_run.id}"
    own.touch()
    seen = 0
    for _ in range(5 if together == 1 else 600):
        seen = max(seen, len(list(folder.iterdir())))
        if together > 1 and seen >= together:
            time.sleep(0.5)  # the other has to see it too
            break
        time.sleep(0.1)
    own.unlink()
    return seen, os.environ.get("CUDA_VISIBLE_DEVICES", "")


@task
def busy_with_token(config: Config, folder: Path, together: int) -> tuple[int, str]:
    with tokens.held(config, "gru"):
        return busy.fn(folder, together)


@flow
def fits(config: Config, folder: Path, together: int) -> list[tuple[int, str]]:
    """Four tasks that would fit the network."""
    with runners.chosen(config), tokens.placed(config, "gru"):
        futures = [busy_with_token.submit(config, folder, together) for _ in range(4)]
        return [future.result() for future in futures]


@pytest.mark.parametrize("fits_per_gpu", [1, 2])
@pytest.mark.parametrize("where", [["runner=dask", "runner.gpus=1", "runner.threads=2"], ["runner.workers=4"]], ids=str)
def test_no_more_networks_are_fitted_at_once_on_a_gpu_than_it_has_tokens(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: list[str], fits_per_gpu: int
) -> None:
    monkeypatch.setattr("daycast.models.gpus", lambda: 1)  # of this machine, which may have none
    config = project.config("trainer.accelerator=gpu", f"runner.fits_per_gpu={fits_per_gpu}", *where)
    made = fits(config, tmp_path, fits_per_gpu)
    assert [seen for seen, _ in made] == [fits_per_gpu] * 4
    if config.runner.kind == "dask":  # all were sent to the one worker that has it
        assert {gpu for _, gpu in made} == {"0"}


def test_a_network_that_needs_no_gpu_takes_no_token(project: Project, tmp_path: Path) -> None:
    config = project.config("runner=dask", "runner.gpus=1", "runner.threads=2", "trainer.accelerator=cpu")
    made = fits(config, tmp_path, 4)
    assert [seen for seen, _ in made] == [4] * 4
    assert {gpu for _, gpu in made} == {"0", ""}  # the second worker sees none


def test_a_cluster_without_a_gpu_is_refused_where_one_is_asked_for(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        fits(project.config("runner=dask", "runner.gpus=0", "trainer.accelerator=gpu"), tmp_path, 1)


def test_a_worker_with_other_servers_is_refused_and_named(project: Project, tmp_path: Path) -> None:
    config = project.config("runner=dask")
    with running([project.settings.state], DAYCAST_STUDIES_URL="postgresql://other/studies") as address:
        given = config.runner.model_copy(update={"address": address})
        with pytest.raises(ConfigError, match="another value of DAYCAST_STUDIES_URL") as refused:
            fits(config.model_copy(update={"runner": given}), tmp_path, 1)
    assert "other/studies" not in str(refused.value)  # it may hold a password


def test_a_worker_that_shares_neither_folder_nor_store_is_refused(project: Project, tmp_path: Path) -> None:
    config = project.config("runner=dask")
    with running([tmp_path / "apart"]) as address:
        given = config.runner.model_copy(update={"address": address})
        with pytest.raises(ConfigError, match="DAYCAST_CACHE_URL"):
            fits(config.model_copy(update={"runner": given}), tmp_path, 1)


def test_a_cluster_that_is_not_there_is_said(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cluster.PATIENCE_S", 1)
    with pytest.raises(ToolError, match=r"a Dask scheduler at tcp://127\.0\.0\.1:1 "):
        fits(project.config("runner=dask", "runner.address=tcp://127.0.0.1:1"), tmp_path, 1)
