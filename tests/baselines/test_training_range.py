"""What of a scenario is beyond what the card of trained weights tells."""

import numpy as np
import pytest

from gnnsched_baselines.learned.pair_network import initial_network, save_network
from gnnsched_baselines.learned.training_range import TRAINED_FOR, beyond, notes
from gnnsched_env.scenario import load_scenario

CARD = {TRAINED_FOR: {"accelerators": [1, 8], "PEs": [64, 512], "load": [0.3, 1.0]}}


@pytest.mark.parametrize(
    ("fleet", "load", "told"),
    [
        ("hetero4", 0.8, ()),
        ("hetero4", 1.2, ("load 1.2 (trained for 0.3 to 1)",)),
        ("wide64", 0.8, ("accelerators 64 (trained for 1 to 8)", "PEs 1024 (trained for 64 to 512)")),
    ],
)
def test_what_is_outside_is_told(fleet, load, told):
    scenario = load_scenario(fleet).with_options(load=load)
    assert beyond(CARD, scenario) == told
    assert beyond({}, scenario) == ()


def test_notes_are_of_trained_policies_alone(tmp_path):
    path = tmp_path / "own.npz"
    save_network(path, initial_network(2, np.random.default_rng(0)), CARD)
    wide, narrow = load_scenario("wide64"), load_scenario("hetero4")
    names = ("sjf", f"agent:{path}", "agent:queue_hetero4")
    (note,) = notes(names, wide)
    assert note.startswith(f"agent:{path} was not trained for this: accelerators 64 (trained for 1 to 8); PEs 1024")
    assert notes(names, narrow) == []
