import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from synthetic import context, network, origin, table, weekly

from daycast import config, models
from daycast.core.forecast import Forecaster
from daycast.errors import ModelError
from daycast.models.neural import NeuralForecaster


@pytest.fixture(scope="module")
def made():
    return table(weekly(steps=328))


@pytest.fixture(scope="module")
def fitted(made):
    model = models.build(network(cell="lstm", layers=2, dropout=0.1), context(max_epochs=2))
    model.fit(made.panel)
    return model


FAMILIES = {
    "Naive": config.Naive(family="naive"),
    "SeasonalNaive": config.SeasonalNaive(family="seasonal_naive", lag=None),
    "DayTypeNaive": config.DayTypeNaive(family="day_type_naive", column="day", window=2),
    "Sarima": config.Sarima(
        family="sarima",
        order=(1, 0, 0),
        seasonal_order=(0, 1, 1),
        known=(),
        scale=True,
        update="filter",
        train_steps=None,
    ),
    "AutoArima": config.AutoArima(family="auto_arima", known=(), train_steps=None),
    "AutoEts": config.AutoEts(family="auto_ets", train_steps=None),
    "Mstl": config.Mstl(family="mstl", season_lengths=None, train_steps=None),
    "NeuralForecaster": network(),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_builds_its_forecaster(name):
    built = models.build(FAMILIES[name], context())
    assert type(built).__name__ == name
    assert isinstance(built, Forecaster)


def test_several_seeds_build_an_ensemble_of_networks_and_change_nothing_else():
    ensemble = models.build(network(), context(seed=3), seeds=2)
    assert [m.context.seed for m in ensemble.members] == [3, 4]
    assert isinstance(models.build(network(), context(), seeds=1), NeuralForecaster)
    assert type(models.build(FAMILIES["Naive"], context(), seeds=3)).__name__ == "Naive"


def test_importing_models_and_building_a_naive_one_loads_no_heavy_library():
    code = (
        "import sys; from daycast import config, models; "
        "models.build(config.Naive(family='naive'), None); "
        "heavy = {'torch', 'pytorch_lightning', 'statsmodels', 'statsforecast'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_loaded_model_forecasts_the_same_bits(made, fitted, tmp_path):
    models.save(fitted, tmp_path / "model")
    loaded = models.load(tmp_path / "model")
    at = [origin(made, back) for back in (0, 9)]
    np.testing.assert_array_equal(loaded.predict(at), fitted.predict(at))
    assert loaded.min_history == fitted.min_history


def test_a_loaded_ensemble_forecasts_the_same_bits(made, tmp_path):
    ensemble = models.build(network(), context(max_epochs=1), seeds=2)
    ensemble.fit(made.panel)
    models.save(ensemble, tmp_path / "model")
    np.testing.assert_array_equal(
        models.load(tmp_path / "model").predict([origin(made)]), ensemble.predict([origin(made)])
    )


def test_a_loaded_model_can_be_saved_again_to_the_same_bytes(fitted, tmp_path):
    models.save(fitted, tmp_path / "one")
    models.save(models.load(tmp_path / "one"), tmp_path / "two")
    for name in ("config.json", "weights.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", ["Naive", "SeasonalNaive", "DayTypeNaive"])
def test_a_baseline_is_saved_with_empty_weights(made, name, tmp_path):
    baseline = models.build(FAMILIES[name], context())
    baseline.fit(made.panel)
    models.save(baseline, tmp_path / "model")
    assert load_file(tmp_path / "model" / "weights.safetensors") == {}
    loaded = models.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict([origin(made)]), baseline.predict([origin(made)]))


def test_a_saved_model_is_json_and_safetensors_and_nothing_else(fitted, tmp_path):
    models.save(fitted, tmp_path / "model")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["config.json", "weights.safetensors"]
    description = json.loads((tmp_path / "model" / "config.json").read_text())
    assert description["family"] == "recurrent"
    assert description["model"]["hidden"] == 8
    assert description["context"]["trainer"]["max_epochs"] == 2


def test_saving_again_to_the_same_folder_is_refused_and_keeps_what_is_there(fitted, tmp_path):
    models.save(fitted, tmp_path / "model")
    before = (tmp_path / "model" / "weights.safetensors").read_bytes()
    with pytest.raises(ModelError, match="does not exist yet"):
        models.save(fitted, tmp_path / "model")
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == before


def test_a_save_that_fails_leaves_nothing_behind(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "state", lambda: ({"not json": object()}, {}))
    with pytest.raises(TypeError):
        models.save(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_save_cut_short_before_its_last_move_leaves_no_half_model(fitted, tmp_path, monkeypatch):
    def cut(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(KeyboardInterrupt):
        models.save(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_saving_what_build_did_not_make_or_nobody_fitted_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"models\.build"):
        models.save(NeuralForecaster(network(), context()), tmp_path / "model")
    with pytest.raises(ModelError, match="fitted"):
        models.save(models.build(network(), context()), tmp_path / "model")


def cut_weights(folder):
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def garble_config(folder):
    (folder / "config.json").write_text("{")


def rename_field(folder):
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"lookback"', '"window"', 1))


def forget_values(folder):
    file = folder / "config.json"
    description = json.loads(file.read_text())
    file.write_text(json.dumps({**description, "values": {}}))


def widen(folder):
    file = folder / "weights.safetensors"
    save_file({n: np.zeros([s + 1 for s in a.shape], a.dtype) for n, a in load_file(file).items()}, file)


def lose_weights(folder):
    (folder / "weights.safetensors").unlink()


def lose_config(folder):
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    "spoil", [cut_weights, garble_config, rename_field, forget_values, widen, lose_weights, lose_config]
)
def test_broken_or_missing_files_are_refused(fitted, tmp_path, spoil):
    models.save(fitted, tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(ModelError, match="restore its files"):
        models.load(tmp_path / "model")
