"""A table made of pieces is the table made of the whole frame, to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest

from daycast.core import frame, streaming
from daycast.core.frame import FrameSpec, Table
from daycast.errors import DataError
from tests.core.builders import daily_spec, long_frame

SPEC = daily_spec(
    known={"day_of_week": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "regime": ("no", "yes")},
    past=("load", "price"),
    static={"kind": ("bus", "rail"), "size": None},
    fourier=2,
    held=("regime",),
)


def rows(series: int = 7, steps: int = 40, ahead: int = 9) -> pd.DataFrame:
    """Series that start late, have holes and end early, with every kind of covariate."""
    rng = np.random.default_rng(0)
    made = long_frame({f"s{i}": rng.normal(size=steps) for i in range(series)}, ahead=ahead)
    made.loc[rng.random(len(made)) < 0.1, "y"] = np.nan
    made["load"], made["price"] = rng.normal(size=(2, len(made)))
    made["regime"] = np.where(made["ds"] > made["ds"].min() + pd.Timedelta(days=20), "yes", "no")
    made["kind"] = made["unique_id"].map(lambda name: "bus" if int(name[1:]) % 2 else "rail")
    made["size"] = made["unique_id"].map(lambda name: float(name[1:]))
    late = (made["unique_id"] == "s0") & (made["ds"] < made["ds"].min() + pd.Timedelta(days=11))
    gone = rng.random(len(made)) < 0.05
    return made[~late & ~(gone & (made["unique_id"] != "s3"))].reset_index(drop=True)


def streamed(whole: pd.DataFrame, spec: FrameSpec, size: int) -> Table:
    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        return (whole[list(columns)].iloc[at : at + size] for at in range(0, len(whole), size))

    of = streaming.outline(read, spec)
    blocks = list(streaming.blocks(read, spec, of))
    ids = tuple(name for block in blocks for name in block.ids)
    y, past, static = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("y", "past", "static"))
    return streaming.table(spec, of, streaming.Block(ids, y, past, static, blocks[0].static_names))


def same(one: Table, other: Table) -> None:
    for a, b in ((one.panel, other.panel), (one.beyond, other.beyond)):
        for name in a.__dataclass_fields__:
            if isinstance(value := getattr(a, name), np.ndarray):
                np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)
                assert not getattr(b, name).flags.writeable
            elif name == "ds":
                assert value.equals(b.ds)
                assert value.freq == b.ds.freq
            else:
                assert value == getattr(b, name)


@pytest.mark.parametrize("size", [1, 3, 49, 50, 70, 1000])
def test_pieces_of_any_size_make_the_table_that_the_whole_frame_makes(size: int) -> None:
    same(frame.table(rows(), SPEC), streamed(rows(), SPEC, size))


def test_without_covariates_too() -> None:
    spec = FrameSpec("D", 7)
    same(frame.table(rows(), spec), streamed(rows(), spec, 30))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: pd.concat([whole.iloc[:31], whole.iloc[[30]], whole.iloc[31:]]),
        lambda whole: whole.sort_values("ds", kind="stable"),
        lambda whole: whole.iloc[::-1],
        lambda whole: whole.assign(ds=whole["ds"].where(whole.index != 5, whole["ds"] + pd.Timedelta(hours=1))),
    ],
    ids=["a row twice", "sorted by time", "backwards", "off the grid"],
)
@pytest.mark.parametrize("size", [30, 1000])
def test_rows_that_are_not_sorted_on_the_grid_and_single_are_refused(spoil, size) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="one row per series and timestamp"):
        streamed(spoil(rows()), SPEC, size)


def test_a_frame_without_any_value_is_refused() -> None:
    with pytest.raises(DataError, match="observed"):
        streamed(rows().assign(y=np.nan), SPEC, 30)
