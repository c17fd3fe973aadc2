"""What a trainer's section may say, and what is told where it can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from daycast.config import Trainer, compose
from daycast.errors import ConfigError
from daycast.models import devices

SHIPPED = ("default", "panel", "budget", "gpu", "gpu_panel")


def composed(root: Path, *overrides: str) -> Trainer:
    return compose(root, overrides).trainer


@pytest.mark.parametrize("name", SHIPPED)
def test_every_trainer_that_ships_loads(root: Path, name: str) -> None:
    assert composed(root, f"trainer={name}").name == name


def test_all_that_ship_are_named_here(root: Path) -> None:
    assert sorted(SHIPPED) == sorted(file.stem for file in (root / "conf" / "trainer").glob("*.yaml"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["trainer.devices=2"], "ddp for 2 devices"),
        (["trainer.strategy=ddp"], "single for one device"),
        (["trainer.devices=[0]"], "only GPUs have numbers"),
        (["trainer.accelerator=gpu", "trainer.devices=[1,1]", "trainer.strategy=ddp"], "each number once"),
        (["trainer.devices=0"], "greater than or equal to 1"),
        (["trainer.devices=[-1]"], "greater than or equal to 0"),
        (["trainer.devices=[]"], "at least 1"),
        (["trainer.devices=all"], "valid integer"),
        (["trainer.precision=16-mixed"], "32-true or bf16-mixed on a CPU"),
        (["trainer.max_steps=100"], "a multiple of max_epochs 15, such as 90"),
        (["trainer.max_steps=7"], "such as 15"),
        (["trainer.batch_factor=3"], "a power of two, found 3"),
    ],
)
def test_what_does_not_fit_together_is_told_before_anything_starts(root: Path, overrides, told) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError) as error:
        composed(root, *overrides)
    assert told in error.value.found


@pytest.mark.parametrize(
    ("overrides", "processes"),
    [
        (["trainer.devices=2", "trainer.strategy=ddp"], 2),
        (["trainer=gpu", "trainer.devices=[3]"], 1),
        (["trainer=gpu", "trainer.devices=[0,2]", "trainer.strategy=ddp"], 2),
        (["trainer=budget"], 1),
        (["trainer.precision=bf16-mixed"], 1),
    ],
)
def test_what_fits_together_tells_how_many_processes_train(root: Path, overrides: list[str], processes: int) -> None:
    assert composed(root, *overrides).processes == processes


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["gpu", "gpu_panel"])
def test_a_gpu_that_is_not_there_is_told_with_what_to_change(root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.accelerator: gpu") as error:
        devices.require(composed(root, f"trainer={name}"))
    assert "trainer=default" in error.value.fix


@pytest.mark.parametrize("name", ["default", "panel", "budget"])
def test_what_needs_no_gpu_runs_anywhere(root: Path, name: str) -> None:
    devices.require(composed(root, f"trainer={name}"))


def test_a_trainer_saved_before_there_were_devices_is_read(root: Path) -> None:
    whole = composed(root, "trainer=panel").model_dump(mode="json")
    old = {k: v for k, v in whole.items() if k not in ("devices", "strategy", "max_steps", "validation_windows")}
    assert Trainer.saved(old) == Trainer.saved(whole) == composed(root, "trainer=panel")
    chosen = composed(root, "trainer=gpu", "trainer.devices=[0,2]", "trainer.strategy=ddp")
    assert Trainer.saved(chosen.model_dump(mode="json")) == chosen
