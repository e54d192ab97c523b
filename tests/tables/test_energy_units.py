"""Unit energies: the presets, a file of one's own, and what is refused."""

import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.hardware.energy import UnitEnergies, list_unit_energies, load_unit_energies

COSTS = {"mac_pj": 1.0, "register_file_pj": 1.0, "link_pj": 2.0, "global_buffer_pj": 6.0}
TOML = "\n".join(["[[unit_energies]]", 'name = "mine"', *(f"{name} = {value}" for name, value in COSTS.items())])


@pytest.mark.parametrize(("name", "mac"), [("float32_45nm", 3.7 + 0.9), ("float16_45nm", 1.1 + 0.4)])
def test_presets_are_a_published_mac_times_published_ratios(name, mac):
    units = load_unit_energies(name)
    assert units.mac_pj == pytest.approx(mac)
    ratios = [units.register_file_pj, units.link_pj, units.global_buffer_pj]
    assert [ratio / units.mac_pj for ratio in ratios] == pytest.approx([1, 2, 6])
    assert "ISSCC 2014" in units.source and "ISCA 2016" in units.source
    assert name in list_unit_energies()


def test_a_file_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text(TOML)
    assert load_unit_energies(tmp_path / "mine.toml") == UnitEnergies(name="mine", **COSTS)
    assert load_unit_energies(str(tmp_path / "mine.toml")).global_buffer_pj == 6.0


def test_names_and_sources_do_not_change_the_key():
    one, other = UnitEnergies(name="one", **COSTS), UnitEnergies(name="other", source="a book", **COSTS)
    assert one.key() == other.key() != UnitEnergies(name="one", **{**COSTS, "mac_pj": 1.5}).key()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), 1e7, True, "4.6", None])
@pytest.mark.parametrize("cost", COSTS)
def test_a_cost_must_be_a_sensible_number(cost, value):
    with pytest.raises(ConfigError, match=f"'mine': {cost} must be"):
        UnitEnergies(name="mine", **{**COSTS, cost: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TOML.replace("link_pj", "lnik_pj"), "unknown key 'lnik_pj'; did you mean 'link_pj'"),
        (TOML.replace("mac_pj = 1.0", ""), "key 'mac_pj' is missing"),
        (TOML.replace("mac_pj = 1.0", "mac_pj = -1.0"), "mac_pj must be"),
        (TOML.replace('"mine"', "3"), "name must be a non-empty string"),
        (f"{TOML}\nsource = 3", "source must be a string"),
        (f"{TOML}\n{TOML}", "'mine' twice"),
        (f"{TOML}\n{TOML.replace('mine', 'yours')}", "exactly one"),
        ("unit_energies = 3", "must be an array of tables"),
        ("unit_energies = [3]", "must be a table"),
        ("unit_energie = 3", "unknown key 'unit_energie'; did you mean 'unit_energies'"),
        ("", "exactly one"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"bad\.toml.*{message}"):
        load_unit_energies(tmp_path / "bad.toml")


def test_files_that_are_not_toml_or_not_there_are_refused(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    for name, message in (("bad.toml", "must be a TOML file"), ("none.toml", "cannot be read")):
        with pytest.raises(FileFormatError, match=message):
            load_unit_energies(tmp_path / name)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'float32_45nm'"):
        load_unit_energies("float32_45")
