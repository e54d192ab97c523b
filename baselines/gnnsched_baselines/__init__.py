"""Scheduling policies for comparison with agents, one a file; importing the package registers them by name."""

from gnnsched_baselines.assignment import Assignment
from gnnsched_baselines.earliest_finish_wait import EarliestFinishWait
from gnnsched_baselines.fifo import FirstInFirstOut
from gnnsched_baselines.index import Index
from gnnsched_baselines.learned import families
from gnnsched_baselines.least_delay import LeastDelay
from gnnsched_baselines.least_loaded import LeastLoaded
from gnnsched_baselines.max_min import MaxMin
from gnnsched_baselines.min_min import MinMin
from gnnsched_baselines.predictor_greedy import PredictorGreedy
from gnnsched_baselines.random import Random
from gnnsched_baselines.rollout import Rollout
from gnnsched_baselines.round_robin import RoundRobin
from gnnsched_baselines.sjf import ShortestJobFirst
from gnnsched_baselines.skip_predict import SkipPredict
from gnnsched_baselines.static import Static
from gnnsched_baselines.static_best import StaticBest
from gnnsched_baselines.sufferage import Sufferage
from gnnsched_env.evaluation.policies import PLANNERS, POLICIES, make_policy, register_policy

__all__ = ["PLANNERS", "POLICIES", "make_policy"]

for _kind in (
    Random,
    RoundRobin,
    FirstInFirstOut,
    Static,
    StaticBest,
    LeastLoaded,
    PredictorGreedy,
    LeastDelay,
    ShortestJobFirst,
    MinMin,
    MaxMin,
    Sufferage,
    EarliestFinishWait,
    Index,
    Assignment,
    SkipPredict,
    Rollout,
):
    register_policy(_kind)
families.register()
