"""The way back through a history of champions."""

from __future__ import annotations

import pandas as pd
import pytest

from daycast.core import history

COLUMNS = ["kind", "from_version", "to_version"]
UP, BACK, HAND, OUTSIDE = "promotion", "rollback", "override", "outside"


def moves(*told: tuple[str, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame(told, columns=COLUMNS, dtype=object)


THREE = ((UP, None, "1"), (UP, "1", "2"), (UP, "2", "3"))


def test_former_champions_are_named_newest_first_and_the_last_one_too_if_there_is_none_any_more() -> None:
    assert history.former(moves(*THREE), "3") == ["2", "1"]
    assert history.former(moves(*THREE), None) == ["3", "2", "1"]
    assert history.former(moves(*THREE, (BACK, "3", "2")), None) == ["2", "1"]
    assert history.former(moves(), None) == []


@pytest.mark.parametrize(
    ("told", "champion", "before"),
    [
        ((), "1", None),
        (THREE[:1], "1", None),
        (THREE, "3", "2"),
        ((*THREE, (BACK, "3", "2")), "2", "1"),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "1")), "1", None),
        ((*THREE, (BACK, "3", "1")), "1", None),
        ((*THREE, (BACK, "3", "2"), (UP, "2", "4")), "4", "2"),
        ((*THREE, (HAND, "3", "1")), "1", "3"),
        ((*THREE, (HAND, "3", "1"), (BACK, "1", "3")), "3", "2"),
        ((*THREE, (BACK, "3", "7")), "7", "2"),
        (THREE, "2", "3"),
        (THREE, "7", "3"),
        ((*THREE, (BACK, "3", "2")), "7", "2"),
        ((*THREE, (OUTSIDE, "3", "1")), "1", "3"),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "3")), "3", "2"),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "1"), (BACK, "1", "3")), "3", "2"),
        ((*THREE, (BACK, "3", "1"), (BACK, "1", "2")), "2", "1"),
        ((*THREE, (BACK, "3", "1"), (BACK, "1", "3"), (BACK, "3", "2")), "2", "1"),
    ],
    ids=str,
)
def test_one_rollback_after_the_other_goes_further_back(
    told: tuple[tuple[str, str | None, str], ...], champion: str, before: str | None
) -> None:
    assert next(iter(history.former(moves(*told), champion)), None) == before


@pytest.mark.parametrize(
    ("told", "version", "left"),
    [
        (THREE, "3", False),
        ((*THREE, (BACK, "3", "2")), "3", True),
        ((*THREE, (BACK, "3", "2")), "2", False),
        ((*THREE, (BACK, "3", "2"), (HAND, "2", "3")), "3", False),
        ((*THREE, (BACK, "3", "2"), (HAND, "2", "3"), (UP, "3", "4")), "3", False),
        (THREE, "9", False),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "3")), "2", False),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "3")), "3", False),
        ((*THREE, (BACK, "3", "2"), (BACK, "2", "3"), (BACK, "3", "2")), "3", True),
    ],
    ids=str,
)
def test_what_a_rollback_left_is_told_until_it_is_champion_again(
    told: tuple[tuple[str, str | None, str], ...], version: str, left: bool
) -> None:
    assert history.rolled_back(moves(*told), version) is left


def test_a_version_served_from_each_move_to_it_until_the_next_to_another() -> None:
    days = pd.to_datetime(["2021-01-01", "2021-02-01", "2021-02-02", "2021-03-01", "2021-04-01"], utc=True)
    moves = pd.DataFrame({"to_version": ["1", "2", "2", "1", "3"], "decided_at": days})
    assert history.served(moves, "1") == [(days[0], days[1]), (days[3], days[4])]
    assert history.served(moves, "2") == [(days[1], days[3])]
    assert history.served(moves, "3") == [(days[4], None)]
    assert history.served(moves, "4") == []
