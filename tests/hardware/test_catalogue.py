import pickle
from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.hardware import (
    Accelerator,
    Fleet,
    list_accelerators,
    list_dataflows,
    list_fleets,
    load_accelerator,
    load_dataflow,
    load_fleet,
)

OWN = """
[fleet]
name = "mine"
accelerators = ["omega512", "small"]
clock_hz = 500_000_000

[[accelerator]]
name = "small"
pes = 64
distribution_bandwidth = 32
reconfiguration_cycles = 100
dataflows = ["Seq1", "own"]
clock_hz = 500_000_000

[[dataflow]]
name = "own"
taxonomy = "Seq_AC(VsFsNt, VsGsFt)"
f = "min(F, 8)"
aggregation = ["P // f", 1, "f"]
combination = [1, "g", 1]
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return path

    return write


def test_preset_fleets():
    assert set(list_fleets()) >= {"big_little", "flexible4", "hetero4"}
    hetero = load_fleet("hetero4")
    assert [[flow.name for flow in device.dataflows] for device in hetero.accelerators] == [
        ["Seq1", "Seq2"],
        ["SP1", "SP2"],
        ["SPhighV"],
        ["PP1", "PP2", "PP3", "PP4"],
    ]
    assert {device.pes for device in hetero.accelerators} == {512}
    assert hetero.choice_accelerators.tolist() == [0, 0, 1, 1, 2, 3, 3, 3, 3]
    assert [choice.name for choice in hetero.choices][:3] == ["seq/Seq1", "seq/Seq2", "sp/SP1"]
    flexible = load_fleet("flexible4")
    assert [len(device.dataflows) for device in flexible.accelerators] == [9] * 4
    assert [device.pes for device in load_fleet("big_little").accelerators] == [256, 512, 1024]


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (load_fleet, "hetro4", "unknown fleet 'hetro4'; did you mean 'hetero4'\\?"),
        (load_accelerator, "OMEGA512", "unknown accelerator 'OMEGA512'; did you mean 'omega512'\\?"),
        (load_dataflow, "SPhighv", "unknown dataflow 'SPhighv'; did you mean 'SPhighV'\\?"),
        (load_dataflow, "zzz", "unknown dataflow 'zzz'; known: PP1"),
    ],
)
def test_an_unknown_preset_is_refused_with_a_hint(load, name, message):
    with pytest.raises(ConfigError, match=message):
        load(name)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_serves_wherever_a_name_does(write, as_text):
    path = str(write(OWN)) if as_text else write(OWN)
    fleet = load_fleet(path)
    assert [device.name for device in fleet.accelerators] == ["omega512", "small"]
    assert fleet.clock_hz == 500_000_000
    assert fleet.seconds(1000) == 2e-6
    small = load_accelerator(path)
    assert small == fleet.accelerators[1]
    assert (small.distribution_bandwidth, small.reduction_bandwidth, small.reconfiguration_cycles) == (32, 64, 100)
    assert load_dataflow(path) == small.dataflows[1]


def test_an_entry_with_a_count_stands_for_equal_accelerators(write):
    several = OWN.replace("pes = 64", "count = 3\npes = 64").replace('"small"]', '"small0", "small2"]')
    fleet = load_fleet(write(several))
    assert [device.name for device in fleet.accelerators] == ["omega512", "small0", "small2"]
    assert replace(fleet.accelerators[1], name="small2") == fleet.accelerators[2]
    every = load_fleet(write(several.replace('accelerators = ["omega512", "small0", "small2"]', "")))
    assert [device.name for device in every.accelerators] == ["small0", "small1", "small2"]


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("[fleet]", "[flet]", ConfigError, "unknown key 'flet'"),
        ("pes = 64", "pess = 64", ConfigError, "unknown key 'pess'"),
        ("pes = 64", "pes = 48", ConfigError, "accelerator 'small': pes must be a power of two, got 48"),
        ("pes = 64", 'pes = "64"', ConfigError, "pes must be an integer of at least 1, got '64'"),
        ("pes = 64", "", ConfigError, "key 'pes' is missing"),
        ("pes = 64", "pes = 64\ncount = 0", ConfigError, "count must be an integer of at least 1, got 0"),
        ("pes = 64", "pes = 64\ncount = 5000", ConfigError, "count must be at most 4,096, got 5000"),
        ("pes = 64", "pes = 64\ncount = 2", ConfigError, "unknown accelerator 'small'; did you mean 'small1'"),
        ("= 32", "= 128", ConfigError, "distribution_bandwidth must be at most pes, got 128 > 64"),
        ('"Seq1", "own"', '"Seq1", "Seq1"', ConfigError, "dataflow names must differ, got 'Seq1' twice"),
        ('"Seq1", "own"', '"Seq1", "owm"', ConfigError, "unknown dataflow 'owm'; did you mean 'own'"),
        ('"Seq1", "own"', "", ConfigError, "dataflows must not be empty"),
        ('["Seq1", "own"]', '"Seq1"', ConfigError, "dataflows must be a list of names"),
        ('name = "own"', 'name = "Seq1"', ConfigError, "dataflow 'Seq1' is a preset; choose another name"),
        ('name = "small"', 'name = "omega512"', ConfigError, "accelerator 'omega512' is a preset"),
        ('name = "mine"', "name = 3", ConfigError, "name must be a non-empty string"),
        ('"omega512", "small"', '"omega512", "smal"', ConfigError, "unknown accelerator 'smal'; did you mean 'small'"),
        ('"omega512", "small"', '"small", "small"', ConfigError, "accelerator names must differ"),
        ("clock_hz = 500_000_000\n\n[[a", "clock_hz = 1\n\n[[a", ConfigError, "one clock serves the whole fleet"),
        ('1, "f"]', '1, "q"]', ConfigError, "dataflow 'own': tile expression 'q': 'q' is not allowed"),
        ('1, "f"]', "1]", ConfigError, "aggregation must list three tiles"),
        ("VsFsNt", "VsFsN", ConfigError, "taxonomy must look like"),
        ("[fleet]", "[fleet", FileFormatError, "must be a TOML file"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(write, old, new, error, message):
    assert old in OWN
    path = write(OWN.replace(old, new))
    with pytest.raises(error, match=message) as caught:
        load_fleet(path)
    assert str(path) in str(caught.value)


def test_what_a_file_lacks_is_named(write, tmp_path):
    with pytest.raises(ConfigError, match=r"must have a \[fleet\]"):
        load_fleet(write(OWN.partition("[[accelerator]]")[1] + OWN.partition("[[accelerator]]")[2]))
    with pytest.raises(ConfigError, match=r"exactly one \[\[dataflow\]\]"):
        load_dataflow(write(""))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_fleet(tmp_path / "absent.toml")


def test_values_are_hashable_picklable_and_have_a_stable_digest():
    fleet = load_fleet("hetero4")
    twin = pickle.loads(pickle.dumps(fleet))
    assert twin == fleet
    assert hash(twin) == hash(fleet)
    assert twin.digest() == fleet.digest()
    assert np.array_equal(twin.choice_accelerators, fleet.choice_accelerators)
    assert load_fleet("flexible4").digest() != fleet.digest()
    assert len({load_dataflow(name) for name in list_dataflows()}) == 9
    assert len({load_accelerator(name) for name in list_accelerators()}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name must be a non-empty string"),
        ({"name": "a/b"}, "without '/'"),
        ({"clock_hz": 0}, "clock_hz must be an integer of at least 1"),
        ({"accelerators": ()}, "accelerators must not be empty"),
    ],
)
def test_a_bad_fleet_is_refused(changes, message):
    values = {"name": "f", "accelerators": (load_accelerator("omega512"),)} | changes
    with pytest.raises(ConfigError, match=message):
        Fleet(**values)


@pytest.mark.parametrize("value", [0, -1, -2, 3, 2.0, True, "64"])
@pytest.mark.parametrize("field", ["pes", "distribution_bandwidth", "reduction_bandwidth"])
def test_a_bad_accelerator_is_refused(field, value):
    values = {"name": "a", "pes": 512, "dataflows": (load_dataflow("Seq1"),)} | {field: value}
    with pytest.raises(ConfigError, match=f"accelerator 'a': {field} must be"):
        Accelerator(**values)
