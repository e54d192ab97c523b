"""Policies that fail, each in another place."""

from gnnsched_env import Knowledge


class InConstructor:
    knowledge = Knowledge.NONE

    def __init__(self, layout):
        raise RuntimeError("no such model")


class InAct:
    knowledge = Knowledge.NONE

    def __init__(self, layout):
        self.layout = layout

    def act(self, observation, mask):
        return {}["missing"]
