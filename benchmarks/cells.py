"""What the recurrent layers that are written out cost, against torch's fused layer of the same kind.

A forward and a backward pass of each layer over one batch, the layers taking turns, so that another process on the
machine slows all alike. Prints medians, their ratio to the fused layer's, and the number of weights.

    python benchmarks/cells.py --batch-size 128 --lookback 56 --hidden 64 --inputs 8

Found with torch 2.13 on one thread of a busy machine with AVX2, milliseconds of the fused layers and multiples of them:

    batch  hidden   rnn  lstm   gru   ln_rnn  ln_gru  coupled_lstm  hard_lstm  ln_lstm  peephole_lstm
      128      64   9.0  20.4  25.9     1.1     1.2       1.2          1.7       1.9         1.9
      128      32   5.4   9.2  15.1     1.2     1.3       1.6          2.1       2.6         2.6
       32      32   3.4   2.7   9.3     1.2     1.4       3.1          3.8       5.1         5.3

Torch has a fast kernel for an LSTM alone. Where batches are small, the rest is what autograd takes per operation: a
backward pass through time written by hand did an LSTM without options in 0.88, 0.76 and 0.57 of the loop's time. Not
taken, for as much code again to trust; neither ``torch.jit.script``, which is deprecated, nor ``torch.compile``, which
needs a C++ compiler wherever a model is trained.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

from daycast.models.layers import LAYERS, initialise


def milliseconds(layer: nn.Module, x: Tensor) -> float:
    begin = time.perf_counter()
    layer(x)[0].sum().backward()
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, meaning in (
        ("batch-size", 128, "windows in a batch"),
        ("lookback", 56, "steps of a window"),
        ("inputs", 8, "values a step"),
        ("hidden", 64, "units of a layer"),
        ("turns", 40, "passes of each layer"),
        ("threads", 1, "threads that torch may use"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning} (default {default})")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(args.batch_size, args.lookback, args.inputs, generator=generator)
    layers = {name: make(args.inputs, args.hidden) for name, make in LAYERS.items()}
    for layer in layers.values():
        initialise(layer, generator)
        milliseconds(layer, x)  # the first pass is slower
    times: dict[str, list[float]] = {name: [] for name in layers}
    for _ in range(args.turns):
        for name, layer in layers.items():
            times[name].append(milliseconds(layer, x))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'layer':16s}{'ms':>8s}{'ratio':>8s}  {'to':6s}{'parameters':>10s}")
    for name, median in medians.items():
        fused = name.rpartition("_")[2]
        count = sum(p.numel() for p in layers[name].parameters())
        print(f"{name:16s}{median:8.2f}{median / medians[fused]:8.2f}  {fused:6s}{count:10d}")


if __name__ == "__main__":
    main()
