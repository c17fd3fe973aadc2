"""A random order of any number of things without a list of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6


def permuted(index: NDArray[np.integer], count: int, key: int) -> NDArray[np.int64]:
    """Where a permutation of ``0 .. count-1``, one of those that ``key`` chooses among, takes each of ``index``.

    A Feistel network over the numbers of the least even number of bits that hold ``count``, walked on until it lands
    below it (Black & Rogaway 2002, https://doi.org/10.1007/3-540-45760-7_9). Good enough to shuffle with, and no
    cipher: the rounds mix quickly, not safely.

    Args:
        index: below ``count``, of any shape.
        key: any number; below 2^64 all of it counts.
    """
    half = np.uint64(max(1, (max(count - 1, 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    keys = _mixed(np.arange(1, ROUNDS + 1, dtype=np.uint64) + np.uint64(key % 2**64))
    out = np.asarray(index, dtype=np.uint64).ravel()
    left = np.arange(len(out))
    while len(left):
        high, low = out[left] >> half, out[left] & mask
        for k in keys:
            high, low = low, high ^ (_mixed(low + k) & mask)
        out[left] = high << half | low
        left = left[out[left] >= count]
    return out.astype(np.int64).reshape(np.shape(index))


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit made to hang on every other, as SplitMix64 ends (Steele et al. 2014,
    https://doi.org/10.1145/2660193.2660195); sums and products wrap around."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
