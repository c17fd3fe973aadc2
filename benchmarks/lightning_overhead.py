"""What Lightning costs per training step, against a bare torch loop over the same batches.

Both do the same work on one thread count: gather a batch, forward, loss, backward, clip, AdamW, a validation pass at
each epoch's end. They take turns, so that another process on the machine slows both alike. Prints medians over all
epochs but each run's first, per step, and their ratio: wall time, and processor time, which a busy machine moves less.

    python benchmarks/lightning_overhead.py --cell lstm --features 3 --horizon 1 --batch-size 32
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from daycast import config
from daycast.core.windows import Windows
from daycast.models import networks
from daycast.models.batches import Batches
from daycast.models.layers import LAYERS
from daycast.models.training import train


def made_up(args: argparse.Namespace) -> Windows:
    rng = np.random.default_rng(0)
    starts = np.arange(args.steps - args.lookback - args.horizon + 1, dtype=np.int32)
    return Windows(
        inputs=rng.normal(size=(1, args.steps, 2)).astype(np.float32),
        known=rng.normal(size=(args.steps, args.features)).astype(np.float32),
        static=np.zeros((1, 0), dtype=np.float32),
        targets=2,
        anchors=None,
        starts=np.stack([np.zeros_like(starts), starts], axis=1),
        lookback=args.lookback,
        horizon=args.horizon,
    )


def bare(
    network: networks.Network,
    model: config.Recurrent,
    parts: tuple[Windows, Windows],
    epochs: int,
    tick: Callable[[], None],
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=model.learning_rate, weight_decay=0.0, fused=True)
    shuffle, every_step = torch.Generator().manual_seed(1), model.output == "every_step"
    training = Batches(parts[0], model.batch_size, shuffle, every_step=every_step)
    validation = Batches(parts[1], 512)
    for _ in range(epochs):
        network.train()
        for batch in training:
            optimizer.zero_grad()
            network.loss(*batch).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            for batch in validation:
                network.loss(*batch)
        tick()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("lookback", 56),
        ("horizon", 14),
        ("hidden", 32),
        ("steps", 3000),
        ("epochs", 6),
        ("features", 17),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5, help="how often each loop runs")
    parser.add_argument("--cell", choices=sorted(LAYERS), default="gru")
    parser.add_argument("--output", choices=["direct", "heads", "seq2seq", "dense", "every_step"], default="direct")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    model = config.Recurrent(
        family="recurrent", cell=args.cell, output=args.output, horizon=None, inputs="joint", lookback=args.lookback,
        lead=0, embedding=0, front=None, hidden=args.hidden, layers=1, bidirectional=False, teacher_forcing=0.0,
        attention=None, dropout=0.0, transforms=(), known=None, profile=None, clip=6.0, loss="huber", quantiles=(),
        learning_rate=0.003, weight_decay=0.0, schedule="cosine", weights="best", batch_size=args.batch_size,
        train_steps=None, search={},
    )  # fmt: skip
    trainer = config.Trainer(
        name="benchmark", accelerator="cpu", precision="32-true", max_epochs=args.epochs, patience=args.epochs,
        validation_steps=90, gradient_clip=1.0, deterministic=True, threads=args.threads,
    )  # fmt: skip
    parts = made_up(args).split(trainer.validation_steps)
    shape = networks.Shape.of(model)
    sizes = networks.Sizes(2, args.features, 0, 2, args.horizon)
    steps = len(Batches(parts[0], args.batch_size))

    def epochs(run: Callable[[networks.Network, Callable[[], None]], object]) -> list[tuple[float, float]]:
        ends: list[tuple[float, float]] = []
        run(networks.build(shape, sizes, 1), lambda: ends.append((time.perf_counter(), time.process_time())))
        return [(wall, cpu) for wall, cpu in np.diff(np.array(ends), axis=0) / steps * 1000]

    loops: dict[str, Callable[[networks.Network, Callable[[], None]], object]] = {
        "torch": lambda network, tick: bare(network, model, parts, args.epochs, tick),
        "lightning": lambda network, tick: train(network, model, trainer, parts, 1, lambda *_: tick()),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(args.turns):
        for name, run in loops.items():
            times[name] += epochs(run)
    medians = {name: np.median(values, axis=0) for name, values in times.items()}
    write = sys.stdout.write
    write(f"{args.cell} {args.output}, {2 + args.features} inputs, {args.hidden} hidden, lookback {args.lookback}, ")
    write(f"batch {args.batch_size}, {args.threads} thread(s), {steps} steps an epoch\n")
    write("             wall ms   cpu ms  a step\n")
    for name, (wall, cpu) in medians.items():
        write(f"{name:10s} {wall:9.2f}{cpu:9.2f}\n")
    wall, cpu = medians["lightning"] / medians["torch"]
    write(f"ratio      {wall:9.2f}{cpu:9.2f}\n")


if __name__ == "__main__":
    main()
