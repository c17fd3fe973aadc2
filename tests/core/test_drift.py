"""Whether values are of the kind that came at this time of the year before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import drift

YEARS = 5
DAYS = 364 * YEARS
OF = drift.Reference(window=7, years=4, around=28, year=364, least=0.01)
WEEK = np.array([1.0, 1.1, 1.1, 1.1, 1.0, 0.6, 0.4])


def walk(seed: int, series: int = 1) -> np.ndarray:
    """A year's wave, a week's pattern, and noise of 5 % that a day passes on by half."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 0.05, (series, DAYS))
    for day in range(1, DAYS):
        noise[:, day] += 0.5 * noise[:, day - 1]
    season = 1 + 0.15 * np.sin(2 * np.pi * np.arange(DAYS) / 364)
    return 1000 * season * WEEK[np.arange(DAYS) % 7] * np.exp(noise)


def scored(y: np.ndarray, at: np.ndarray, normal: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    classes = np.stack([np.arange(DAYS) % 7, np.zeros(DAYS, dtype=int)])
    return drift.scores(y, np.ones(DAYS, dtype=bool) if normal is None else normal, classes, at, OF)


def test_a_level_that_falls_by_half_is_seen_within_the_window() -> None:
    y = walk(1, series=20)
    broken = y.copy()
    broken[:, DAYS - 10 :] *= 0.5
    shift, score = scored(broken, np.array([DAYS - 5]))  # the sixth day
    assert (score < -8).all()
    assert shift.mean() == pytest.approx(-0.5, abs=0.1)
    _, well = scored(y, np.array([DAYS - 5]))
    assert (np.abs(well) < 8).all()


def test_one_day_in_a_window_is_no_drift_however_low() -> None:
    y = walk(2, series=20)
    y[:, DAYS - 3] = 1.0
    _, score = scored(y, np.array([DAYS - 1]))
    assert (np.abs(score) < 8).all()


def test_a_rise_that_comes_every_year_is_none() -> None:
    y = walk(3)
    jump = np.arange(DAYS) % 364 >= 200  # such as the end of the holidays
    y = y * np.where(jump, 1.4, 1.0)
    shift, score = scored(y, np.array([364 * 4 + 212]))
    assert shift[0, 0] > 0.25
    assert abs(score[0, 0]) < 8


def test_ordinary_years_raise_next_to_nothing() -> None:
    days = np.arange(364 * 4, DAYS)
    episodes = 0
    for seed in range(10):
        shift, score = scored(walk(100 + seed), days)
        raised = pd.Series((np.abs(score[0]) > 8) & (np.abs(shift[0]) > 0.1))
        episodes += int((raised & ~raised.shift(fill_value=False)).sum())
    assert episodes <= 1  # in ten years


def test_days_of_an_event_count_for_nothing() -> None:
    y = walk(4)
    normal = np.ones(DAYS, dtype=bool)
    normal[DAYS - 3 :] = False
    y[:, DAYS - 3 :] = 1.0
    _, score = scored(y, np.array([DAYS - 1]), normal)
    assert np.abs(score[0, 0]) < 8
    normal[DAYS - 7 :] = False
    shift, score = scored(y, np.array([DAYS - 1]), normal)
    assert np.isnan([shift[0, 0], score[0, 0]]).all()  # too few to tell by


def test_nothing_after_a_day_changes_its_score() -> None:
    y, at = walk(5), np.array([DAYS - 30])
    before = scored(y, at)
    y[:, DAYS - 29 :] = np.random.default_rng(0).permutation(y[:, DAYS - 29 :].T).T * 7
    after = scored(y, at)
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])


def test_a_first_year_is_held_against_what_there_is_of_it() -> None:
    y = walk(6)[:, :200]
    classes, normal = np.stack([np.arange(200) % 7, np.zeros(200, dtype=int)]), np.ones(200, dtype=bool)
    y[:, 190:] *= 0.3
    _, score = drift.scores(y, normal, classes, np.array([150, 199]), OF)
    assert abs(score[0, 0]) < 8
    assert score[0, 1] < -8
    _, none = drift.scores(y[:, :10], normal[:10], classes[:, :10], np.array([9]), OF)
    assert np.isnan(none).all()
