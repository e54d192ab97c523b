"""Energies in latency tables: at birth, in files, in selections; built, cached and shipped."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common import disk_cache as cache
from gnnsched_env.common import store
from gnnsched_env.common.errors import TableError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.hardware.energy import load_unit_energies
from gnnsched_env.predictors import build_table, default_table, latency_tables
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.energy import energy_table
from gnnsched_env.workload import synthetic_classes
from tests import toys


def with_energy():
    return replace(toys.table([[1, 2], [3, 4]], [[5, 6], [7, 8]]), energy_pj=np.array([[10.5, 20.0], [30.0, 40.0]]))


def test_energies_are_optional_and_read_only():
    assert toys.table([[1, 2]]).energy_pj is None
    table = with_energy()
    assert table.energy_pj.tolist() == [[10.5, 20.0], [30.0, 40.0]]
    with pytest.raises(ValueError, match="read-only"):
        table.energy_pj[0, 0] = 5.0


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1e30])
def test_bad_energies_are_refused(value):
    with pytest.raises(TableError, match=r"energy_pj must be above 0 and below 1e\+30 pJ, got .* at class 1, choice 0"):
        replace(with_energy(), energy_pj=[[1.0, 1.0], [value, 1.0]])


def test_energies_of_another_shape_are_refused():
    with pytest.raises(TableError, match=r"energy_pj must have shape \[2, 2\], got \[2, 3\]"):
        replace(with_energy(), energy_pj=np.ones((2, 3)))


def test_energies_follow_their_classes():
    table = replace(with_energy(), group_names=("a", "b"), class_groups=np.array([1, 0]))
    assert table.only_group("a").energy_pj.tolist() == [[30.0, 40.0]]
    assert table.clairvoyant().energy_pj.tolist() == table.energy_pj.tolist()
    assert replace(table, energy_pj=None).only_group("a").energy_pj is None


@pytest.mark.parametrize("kept", [True, False])
def test_a_file_gives_back_energies_or_their_absence(tmp_path, kept):
    table = with_energy() if kept else toys.table([[1, 2]])
    table.save(tmp_path / "table.npz")
    again = LatencyTable.load(tmp_path / "table.npz")
    assert np.array_equal(again.energy_pj, table.energy_pj)
    with np.load(tmp_path / "table.npz") as file:
        assert ("energy_pj" in file) is kept


def test_bad_energies_in_a_file_are_refused(tmp_path):
    path = tmp_path / "table.npz"
    with_energy().save(path)
    stored = store.load(path, store.LATENCY_TABLE)
    store.save(path, store.LATENCY_TABLE, stored.manifest, stored.arrays | {"energy_pj": np.zeros((2, 2))})
    with pytest.raises(TableError, match="energy_pj must be above 0"):
        LatencyTable.load(path)


def test_a_built_table_has_energies_and_keeps_them_apart_by_units(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    classes, fleet = synthetic_classes(8), load_fleet("flexible4")
    half = load_unit_energies("float16_45nm")
    table = build_table(classes, fleet, predictor="exact")
    cheaper = build_table(classes, fleet, predictor="exact", units=half)
    assert (table.energy_pj == energy_table(classes, fleet)).all()
    assert (cheaper.energy_pj == energy_table(classes, fleet, units=half)).all()
    assert (cheaper.energy_pj < table.energy_pj).all()
    assert cheaper.provenance["unit_energies"]["name"] == "float16_45nm"
    monkeypatch.setattr(latency_tables, "pair_energy", None)  # whoever calls it fails
    again = build_table(classes, fleet, predictor="exact")
    assert (again.energy_pj == table.energy_pj).all()
    with pytest.raises(TypeError):
        build_table(synthetic_classes(8, seed=1), fleet, predictor="exact")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["big_little", "flexible4", "hetero4"])
def test_the_shipped_table_has_the_energies_of_the_default_preset(name):
    table, sample = default_table(name), np.arange(0, 256, 11)
    expected = energy_table(synthetic_classes().subset(sample), load_fleet(name))
    assert table.energy_pj[sample] == pytest.approx(expected, rel=1e-12)
    assert table.provenance["unit_energies"] == load_unit_energies().to_dict()
