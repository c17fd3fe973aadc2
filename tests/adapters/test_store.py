"""The forecast store, on real SQLite and on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from daycast.adapters import store
from daycast.adapters.store import revisions
from daycast.adapters.store.tables import metadata
from daycast.core.lineage import Lineage
from daycast.errors import ToolError
from tests.adapters import postgres

LINEAGE = Lineage("data1", "commit1", "config1", "run1")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'a folder' / 'forecasts.db'}"
    else:
        url = request.getfixturevalue("postgresql")
    with store.opened(url) as opened:
        yield opened
        empty(opened)


def empty(engine: Engine) -> None:
    metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {revisions.TABLE}"))


def rows(steps: int = 3, shift: float = 0.0) -> pd.DataFrame:
    ds = pd.date_range("2024-01-02", periods=steps)
    return pd.DataFrame(
        {
            "unique_id": "rail",
            "cutoff": pd.Timestamp("2024-01-01"),
            "ds": ds,
            "step": np.arange(1, steps + 1),
            "y_hat": np.arange(steps) + 100.5 + shift,
            "q0.1": np.arange(steps) + 90.0,
            "q0.9": np.arange(steps) + 110.0,
        }
    )


def test_rows_are_written_once_with_their_whole_lineage(engine: Engine) -> None:
    assert store.write_forecasts(engine, "cta", rows(), ("gru", "7"), LINEAGE) == 3
    assert store.write_forecasts(engine, "cta", rows(), ("gru", "7"), LINEAGE) == 0
    found = store.read_forecasts(engine, "cta")
    assert found["y_hat"].tolist() == [100.5, 101.5, 102.5]
    assert found["ds"].tolist() == rows()["ds"].tolist()
    assert found["quantiles"].tolist()[0] == {"0.1": 90.0, "0.9": 110.0}
    told = ["model", "model_version", "data_version", "git_commit", "config_hash", "run_id"]
    assert found[told].drop_duplicates().to_numpy().tolist() == [["gru", "7", "data1", "commit1", "config1", "run1"]]
    assert found["made_at"].notna().all()


def test_what_was_forecast_first_stays(engine: Engine) -> None:
    store.write_forecasts(engine, "cta", rows(), ("gru", "7"), LINEAGE)
    assert store.write_forecasts(engine, "cta", rows(steps=5, shift=9.0), ("gru", "7"), LINEAGE) == 2
    assert store.read_forecasts(engine, "cta")["y_hat"].tolist() == [100.5, 101.5, 102.5, 112.5, 113.5]


def test_another_version_of_the_model_or_the_data_is_another_forecast(engine: Engine) -> None:
    other = Lineage("data2", "commit1", "config1", "run1")
    elsewhere = Lineage("data1", "commit1", "config1", "run2")  # version 7 of another registry
    written = [
        store.write_forecasts(engine, "cta", rows(), ("gru", "7"), LINEAGE),
        store.write_forecasts(engine, "cta", rows(), ("gru", "8"), LINEAGE),
        store.write_forecasts(engine, "cta", rows(), ("gru", "7"), other),
        store.write_forecasts(engine, "cta", rows(), ("gru", "7"), elsewhere),
        store.write_forecasts(engine, "sample", rows(), ("gru", "7"), LINEAGE),
    ]
    assert written == [3, 3, 3, 3, 3]
    assert len(store.read_forecasts(engine, "cta")) == 12


def test_a_row_without_a_band_is_kept_without_one(engine: Engine) -> None:
    bare = rows()
    bare.loc[2, ["q0.1", "q0.9"]] = np.nan
    store.write_forecasts(engine, "cta", bare, ("gru", "7"), LINEAGE)
    assert store.read_forecasts(engine, "cta")["quantiles"].tolist()[1:] == [{"0.1": 91.0, "0.9": 111.0}, {}]


def test_two_writers_at_once_write_each_row_once(engine: Engine) -> None:
    many = pd.concat([rows(200).assign(unique_id=f"s{i}") for i in range(5)], ignore_index=True)
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: store.write_forecasts(engine, "cta", many, ("gru", "7"), LINEAGE), range(4)))
    assert sum(written) == len(store.read_forecasts(engine, "cta")) == 1000


def move(to: str, before: str | None = None, kind: str = "promotion", run: str = "run1") -> store.Move:
    return store.Move(kind, run, before, to, {"winner": "gru"}, "somebody@somewhere", "better")


def test_the_history_of_champions_only_grows_and_each_dataset_has_its_own(engine: Engine) -> None:
    moves = [("cta", move("1")), ("sample", move("9")), ("cta", move("2", "1")), ("cta", move("1", "2", "rollback"))]
    for dataset, one in moves:
        with store.moving(engine, dataset) as turn:
            turn.append(one)
            assert turn.newest == one.to_version
    found = store.read_promotions(engine, "cta")
    assert found["number"].tolist() == [1, 2, 3]
    told = [store.Move(**line) for line in found[list(store.Move.__dataclass_fields__)].to_dict("records")]
    assert told == [one for dataset, one in moves if dataset == "cta"]
    assert str(found["decided_at"].dt.tz) == "UTC"


def test_a_move_that_fails_half_way_was_none(engine: Engine) -> None:
    def half() -> None:
        with store.moving(engine, "cta") as turn:
            turn.append(move("1"))
            raise RuntimeError("no alias")

    with pytest.raises(RuntimeError, match="no alias"):
        half()
    assert store.read_promotions(engine, "cta").empty
    with store.moving(engine, "cta") as turn:
        assert turn.newest is None


def test_champions_are_moved_one_after_the_other(engine: Engine) -> None:
    def take(run: int) -> None:
        with store.moving(engine, "cta") as turn:
            before = turn.newest
            time.sleep(0.05)  # in which the others would see the same
            turn.append(move(str(run), before))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(4)))
    found = store.read_promotions(engine, "cta")
    assert found["from_version"].tolist() == [None, *found["to_version"].tolist()[:-1]]
    assert set(found["to_version"]) == {"0", "1", "2", "3"}


OPENING = """
import sys
from daycast.adapters import store
with store.opened(sys.argv[1]) as engine, store.moving(engine, "cta") as turn:
    turn.append(store.Move("promotion", "run1", turn.newest, sys.argv[2], {}, "", ""))
"""


def test_processes_that_make_the_store_at_once_do_not_disturb_each_other(engine: Engine) -> None:
    empty(engine)
    url = engine.url.render_as_string(hide_password=False)
    started = [
        subprocess.Popen([sys.executable, "-c", OPENING, url, str(i)], stderr=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    told = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, told
    assert set(store.read_promotions(engine, "cta")["to_version"]) == {"0", "1", "2", "3"}


def test_a_store_that_is_not_there_is_named_without_its_password() -> None:
    url = "postgresql+psycopg2://me:hush@127.0.0.1:1/nothing"
    with pytest.raises(ToolError) as error, store.opened(url):
        pass
    assert "127.0.0.1:1/nothing" in error.value.found
    assert "hush" not in str(error.value)
    assert "DAYCAST_STORE_URL" in error.value.fix


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://me:hush@there/db", "postgresql://me:hush@there:port/db", "postgresql+asyncdb://me:hush@a/b"],
)
def test_an_address_that_can_not_be_used_is_a_clear_error(url: str) -> None:
    with pytest.raises(ToolError, match="DAYCAST_STORE_URL") as error, store.opened(url):
        pass
    assert "hush" not in str(error.value)


def test_a_driver_that_is_missing_is_named_with_what_to_install() -> None:
    told = r"pg8000[\s\S]*pip install 'daycast\[server\]'"
    with pytest.raises(ToolError, match=told), store.opened("postgresql+pg8000://me:hush@there/db"):
        pass


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "forecasts.db").write_text("not a database, and long enough to be read as one" * 9)
    with pytest.raises(ToolError, match=r"forecasts\.db"), store.opened(f"sqlite:///{tmp_path / 'forecasts.db'}"):
        pass


def test_rows_say_which_rank_made_them_and_why_no_one_before_it_did(engine: Engine) -> None:
    store.write_forecasts(engine, "cta", rows(), ("gru", "7"), LINEAGE)
    fallback = ("seasonal_naive", "champion, version 7: ModelError: broken")
    assert store.write_forecasts(engine, "cta", rows(), ("seasonal_naive", "none"), LINEAGE, fallback) == 3
    found = store.read_forecasts(engine, "cta").set_index("model")
    assert set(found.loc["gru", "role"]) == {"champion"}
    assert found.loc["gru", "fallback_reason"].isna().all()
    assert found.loc["seasonal_naive", ["role", "fallback_reason"]].drop_duplicates().to_numpy().tolist() == [
        [*fallback]
    ]
