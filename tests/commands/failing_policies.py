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


class Shapeless(InAct):
    def act(self, observation, mask):
        return mask.argmax(axis=1)[:, None]


class OutOfRange(InAct):
    def act(self, observation, mask):
        return mask.argmax(axis=1) + 10**6


class Leaves(InAct):
    def act(self, observation, mask):
        raise SystemExit("enough")


class InBelief(InAct):
    def observe_belief(self, belief):
        raise LookupError("nothing to believe")


class WithChoices(InAct):
    choices = (99,)


class WithRouting(InAct):
    routing = "everything"


class WithWaiting(InAct):
    waiting = "never"


class WithObservation(InAct):
    observation = ("pairs",)


class WithKnowledge(InAct):
    knowledge = "all"


class WithEnvironments(InAct):
    environments = "queue"


class WithProperty(InAct):
    @property
    def routing(self):
        return {}["routing"]
