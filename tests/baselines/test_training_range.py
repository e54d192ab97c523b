"""What of a scenario is beyond what the card of trained weights tells."""

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401 - registers agents
from gnnsched_baselines.learned.pair_network import initial_network, save_network
from gnnsched_baselines.learned.training_range import TRAINED_FOR, beyond, notes
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.policies import find_policy
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


@pytest.mark.parametrize("told", [None, ["load"], {"load": 5}, {"load": [1, 2, 3]}, {"load": ["a", "b"]}])
def test_a_card_that_tells_no_range_is_refused_before_anything_is_played(told, tmp_path):
    path = tmp_path / "own.npz"
    save_network(path, initial_network(2, np.random.default_rng(0)), {TRAINED_FOR: told})
    with pytest.raises(ConfigError, match=r"card: trained_for (must be a table of ranges|load must be two numbers)"):
        find_policy(f"agent:{path}", dispatch=False)


def test_notes_are_of_trained_policies_alone(tmp_path):
    path = tmp_path / "own.npz"
    save_network(path, initial_network(2, np.random.default_rng(0)), CARD)
    wide, narrow = load_scenario("wide64"), load_scenario("hetero4")
    names = ("sjf", f"agent:{path}", "agent:queue_hetero4")
    (note,) = notes(names, wide)
    assert note.startswith(f"agent:{path} was not trained for this: accelerators 64 (trained for 1 to 8); PEs 1024")
    assert notes(names, narrow) == []
