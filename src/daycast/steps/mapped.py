"""Arrays on disk that are mapped into memory, not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format
from numpy.typing import NDArray


def array(folder: Path, name: str) -> NDArray[Any]:
    """An array written here, memory-mapped and read-only."""
    return np.load(folder / f"{name}.npy", mmap_mode="r")


class Files:
    """Writes arrays ``<name>.npy`` rows after rows as they come, so that what is written needs no memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, BinaryIO] = {}
        self._told: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        for name, file in self._open.items():
            file.seek(0)
            format.write_array_header_1_0(file, self._told[name])  # as long as before: numpy leaves room in it
            file.close()

    def append(self, name: str, rows: NDArray[Any]) -> None:
        """The next rows of an array, along its first axis."""
        if name not in self._open:
            told = {"descr": format.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": (0, *rows.shape[1:])}
            self._open[name], self._told[name] = (self._folder / f"{name}.npy").open("wb"), told
            format.write_array_header_1_0(self._open[name], told)
        self._open[name].write(rows.tobytes())
        count, *rest = self._told[name]["shape"]
        self._told[name]["shape"] = (count + len(rows), *rest)

    def whole(self, name: str, values: NDArray[Any]) -> None:
        """An array all at once; the first one of this name stays."""
        if not (file := self._folder / f"{name}.npy").exists():
            np.save(file, values)
