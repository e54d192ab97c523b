"""Both environments, over a small random table."""

import pytest

from gnnsched_env.envs import QueueEnv
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from tests.envs.environments import ENVIRONMENTS, hetero_table


@pytest.fixture(params=sorted(ENVIRONMENTS))
def make_env(request):
    """Return a function that makes one of the two environments with the options given."""

    def make(**options):
        options.setdefault("jobs", 30)
        scenario = Scenario(
            name="random", fleet=load_fleet("hetero4"), table=options.pop("table", None) or hetero_table()
        )
        return ENVIRONMENTS[request.param](scenario, **options)

    return make


@pytest.fixture
def make_queue():
    """Return a function that makes Queue-v0 with the options given."""

    def make(**options):
        options.setdefault("jobs", 30)
        scenario = Scenario(
            name="random", fleet=load_fleet("hetero4"), table=options.pop("table", None) or hetero_table()
        )
        return QueueEnv(scenario, **options)

    return make
