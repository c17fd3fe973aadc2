"""Several processes, one for each device, that train a network together (DDP); the one that asked gets its weights.

They are started here and not by Lightning: its launcher would run the command line again in each of them, or needs to
start processes where Dask's and Prefect's workers may not. Each reads the job from a file, in which memory-mapped
windows are places in files, and the first tells of each epoch over a pipe and waits for the answer.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from mmap import mmap
from pathlib import Path
from queue import SimpleQueue
from selectors import EVENT_READ, DefaultSelector
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from daycast import errors
from daycast.errors import DaycastError, ToolError
from daycast.models import devices
from daycast.models.training import Trained

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.forecast import OnEpoch
    from daycast.core.windows import Windows
    from daycast.models.networks import Network

Process = subprocess.Popen[bytes]
JOB, WEIGHTS = "job.pickle", "weights.safetensors"
LOOK_S, END_S = 0.5, 10.0  # between looks at the processes; what they have to end in before they are killed
APART = 1_000_003  # between the seeds of processes' dropout


def train(
    network: Network,
    model: config.Recurrent,
    trainer: config.Trainer,
    parts: tuple[Windows, Windows],
    seed: int,
    on_epoch: OnEpoch | None,
) -> Trained:
    """As ``training.train``. While ``on_epoch`` runs, ``network`` has that epoch's weights and the processes wait.

    Raises:
        ToolError: a process ended without a word of ours.
    """
    from lightning_fabric.plugins.environments.lightning import find_free_network_port

    with tempfile.TemporaryDirectory(prefix="daycast-ranks-") as name:
        folder = Path(name)
        (folder / JOB).write_bytes(_pickled((network, model, trainer, parts, seed, on_epoch is not None)))
        port = find_free_network_port()
        processes: list[Process] = []
        try:
            for rank in range(trainer.processes):
                processes.append(_start(folder, rank, trainer.processes, port))
            return _followed(processes, folder, network, on_epoch)
        finally:
            _ended(processes)


def _followed(processes: Sequence[Process], folder: Path, network: Network, on_epoch: OnEpoch | None) -> Trained:
    """Hand on what the first process tells, to its end."""
    first = processes[0]
    assert first.stdout is not None
    assert first.stdin is not None
    with DefaultSelector() as selector:
        selector.register(first.stdout, EVENT_READ)
        while True:
            failed = [rank for rank, process in enumerate(processes) if process.poll()]
            if failed:
                raise _failure(folder, failed[0], processes[failed[0]].returncode)
            if not selector.select(LOOK_S) or not (line := first.stdout.readline()):
                continue
            told = json.loads(line)
            network.load_state_dict(load_file(folder / WEIGHTS))
            if "curves" in told:
                return Trained(**told)
            if on_epoch is not None:
                on_epoch(*told["epoch"])
            first.stdin.write(b"\n")
            first.stdin.flush()


def _start(folder: Path, rank: int, processes: int, port: int) -> Process:
    told = {"RANK": rank, "LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": processes, "MASTER_PORT": port}
    env = {"GLOO_SOCKET_IFNAME": "lo", **os.environ, "MASTER_ADDR": "127.0.0.1", **{k: str(v) for k, v in told.items()}}
    with (folder / f"{rank}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "daycast.models.ranks", str(folder)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if rank == 0 else log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the process that the user sees
        )


def _ended(processes: Sequence[Process]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _failure(folder: Path, rank: int, code: int) -> DaycastError:
    file = folder / f"{rank}.json"
    if file.exists():
        told = json.loads(file.read_text())
        return getattr(errors, told.pop("kind"))(**told)
    tail = "\n".join((folder / f"{rank}.log").read_text(errors="replace").splitlines()[-20:])
    return ToolError(
        "every process of a training on several devices to end well",
        f"number {rank} ended with {code}\n{tail}",
        "look at what it says above, or train on one device with trainer.devices=1 trainer.strategy=single",
    )


def _pickled(job: object) -> bytes:
    out = io.BytesIO()
    _Pickler(out).dump(job)
    return out.getvalue()


class _Pickler(pickle.Pickler):
    """Pickle in which an array that is a mapped file stays one: copies of it would fill the memory it is to save."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.memmap) and isinstance(value.base, mmap):
            return np.memmap, (str(value.filename), value.dtype, "r", value.offset, value.shape)
        return NotImplemented


def main(folder: Path) -> None:
    """One of the processes."""
    answers: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, answers), daemon=True).start()
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no message
    rank = int(os.environ["RANK"])
    try:
        made = _trained(folder, rank, channel, answers)
        if rank == 0:
            _tell(channel, asdict(made))
    except DaycastError as error:
        told = {"kind": type(error).__name__, "expected": error.expected, "found": error.found, "fix": error.fix}
        (folder / f"{rank}.json").write_text(json.dumps(told))
        raise SystemExit(1) from error
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _trained(folder: Path, rank: int, channel: IO[str], answers: SimpleQueue[bytes]) -> Trained:
    from daycast.models.module import fit

    network, model, trainer, parts, seed, heard = pickle.loads((folder / JOB).read_bytes())
    network.noise.seed += rank * APART  # or the shares of a batch would have the same units dropped
    device = devices.chosen(trainer, rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    def weights() -> None:
        save_file({name: w.cpu().contiguous() for name, w in network.state_dict().items()}, folder / WEIGHTS)

    def on_epoch(epoch: int, epochs: int, values: object) -> None:
        weights()
        _tell(channel, {"epoch": (epoch, epochs, values)})
        answers.get()

    made = fit(network, model, trainer, parts, seed, on_epoch if heard and rank == 0 else None, rank)
    if rank == 0:
        weights()
    return made


def _tell(channel: IO[str], values: object) -> None:
    channel.write(json.dumps(values) + "\n")
    channel.flush()


def _listen(stream: IO[bytes], answers: SimpleQueue[bytes]) -> None:
    """Collect answers; without anybody who could give one, end."""
    for line in stream:
        answers.put(line)
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
