import math

import numpy as np
import pytest
import torch
from synthetic import table, weekly

from daycast.core import transform
from daycast.core.transform import Scale
from daycast.core.windows import windows
from daycast.errors import ModelError
from daycast.models import batches
from daycast.models.batches import Batches, Form, Share


@pytest.fixture(scope="module")
def made():
    history = table(weekly(n=3, steps=228)).panel
    fitted = transform.fit([Scale("standard")], history.y)
    return windows(history, transform.forward(fitted, history.y), 14, 7, "each")


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def numbers(made):
    """Tells which windows a batch holds: no two have the same targets."""
    targets = made.batch(np.arange(len(made))).target
    found = {target.tobytes(): i for i, target in enumerate(targets)}
    assert len(found) == len(made)
    return lambda batch: [found[target.tobytes()] for target in batch[3].numpy()]


def test_batches_hold_every_window_once_and_differ_in_size_by_one_at_most(made):
    batches = list(Batches(made, 64, torch.Generator().manual_seed(1)))
    sizes = [len(b[0]) for b in batches]
    assert len(batches) == len(Batches(made, 64)) == math.ceil(len(made) / 64)
    assert max(sizes) - min(sizes) <= 1
    targets = np.concatenate([b[3].numpy() for b in batches]).reshape(len(made), -1)
    everything = made.batch(np.arange(len(made))).target.reshape(len(made), -1)
    assert sorted(map(tuple, targets)) == sorted(map(tuple, everything))


def test_batches_come_in_another_order_each_epoch_and_in_the_same_order_for_the_same_seed(made):
    one, two = (Batches(made, 64, torch.Generator().manual_seed(1)) for _ in range(2))
    first, second = next(iter(one))[3], next(iter(one))[3]
    assert not torch.equal(first, second)
    assert torch.equal(next(iter(two))[3], first)


def test_batches_without_a_generator_come_in_order(made):
    np.testing.assert_array_equal(next(iter(Batches(made, 64)))[3].numpy()[0], made.batch(np.array([0])).target[0])


def test_a_numbered_form_ends_static_covariates_with_the_number_of_the_series(made):
    (batch,) = Batches(made, len(made), form=Form(numbered=True))
    np.testing.assert_array_equal(batch[2][:, -1].numpy(), made.starts[:, 0])


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 4])
def test_shares_and_parts_of_each_batch_hold_all_of_it_once(made, numbers, processes, parts):
    whole = list(Batches(made, 50, generator()))
    shares = [list(Batches(made, 50, generator(), share=Share(p, processes, parts))) for p in range(processes)]
    assert {len(share) for share in shares} == {len(whole) * parts}
    for i, batch in enumerate(whole):
        own = [item for share in shares for item in share[i * parts : (i + 1) * parts]]
        assert sorted(n for item in own for n in numbers(item)) == sorted(numbers(batch))


def test_weights_make_the_mean_over_shares_the_mean_over_the_batch(made):
    shares = [Batches(made, 50, generator(), share=Share(p, 3, 2)) for p in range(3)]
    items = [list(share) for share in shares]
    for i, batch in enumerate(Batches(made, 50, generator())):
        mean = sum(
            share.weight(2 * i + part, len(own[2 * i + part][3])) * own[2 * i + part][3].mean()
            for share, own in zip(shares, items, strict=True)
            for part in range(2)
        )
        assert mean / 6 == pytest.approx(batch[3].mean(), abs=1e-6)


def test_more_devices_than_windows_in_a_batch_are_refused(made):
    with pytest.raises(ModelError, match=r"trainer\.devices"):
        Batches(made, 4, share=Share(0, 5))


def test_a_budget_of_steps_goes_on_where_the_epoch_before_ended(made, numbers):
    loader = Batches(made, 64, generator(), steps=5)
    assert len(loader) == 5
    epochs = [[n for batch in loader for n in numbers(batch)] for _ in range(3)]
    drawn = [n for epoch in epochs for n in epoch]
    assert sorted(drawn[: len(made)]) == list(range(len(made)))  # one pass: every window once
    assert len(set(drawn[len(made) :])) == len(drawn) - len(made) > 0  # the next one: none twice
    (again,) = {tuple(n for batch in Batches(made, 64, generator(), steps=5) for n in numbers(batch))}
    assert list(again) == epochs[0]


def test_an_order_that_is_not_listed_holds_every_window_once_and_another_one_each_epoch(made, numbers, monkeypatch):
    monkeypatch.setattr(batches, "LISTED", 10)
    loader = Batches(made, 64, generator())
    one, two = ([n for batch in loader for n in numbers(batch)] for _ in range(2))
    assert sorted(one) == sorted(two) == list(range(len(made)))
    assert one != two
    assert one == [n for batch in Batches(made, 64, generator()) for n in numbers(batch)]


def test_chosen_windows_are_as_many_as_asked_for_drawn_by_the_seed_and_spread_over_series(made, numbers):
    assert batches.some(len(made), None, 1) is None
    assert batches.some(len(made), len(made), 1) is None
    chosen = batches.some(len(made), 100, 1)
    assert chosen is not None
    assert len(set(chosen.tolist())) == 100
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, batches.some(len(made), 100, 1))
    assert not np.array_equal(chosen, batches.some(len(made), 100, 2))
    assert min(np.bincount(made.starts[chosen, 0])) > 15
    found = [n for batch in Batches(made, 64, chosen=chosen) for n in numbers(batch)]
    assert found == chosen.tolist()
