"""The native batch plays as Gymnasium's loop over single environments does, bit by bit."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from gnnsched_env.envs.vector_env import DispatchVectorEnv, QueueVectorEnv
from gnnsched_env.sim import METRICS
from tests.envs.environments import ENVIRONMENTS
from tests.envs.vectors import MODES, VECTORS, assert_same, make_loop, make_native, replay, small_scenario

KINDS = sorted(VECTORS)
OPTIONS = [
    {},
    {"dataflow": "predicted_best", "shaping": "drain"},
    {"repeats": 50, "decision": {"latency_us": 0.3, "workers": 2}},
    {"arrivals": "bursty", "failures": {"up": 20.0, "down": 5.0}, "reconfiguration": 500, "prediction_error": 0.1},
    {"observation": "flat", "reward": {"energy": 0.5}},
    {"observation": "pairs", "failures": {"up": 20.0, "down": 5.0}, "arrivals": {"deadlines": [0, 5]}},
    {"observation": "pairs_flat", "dataflow": "predicted_best"},
]


@pytest.mark.kernels
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_a_batch_equals_the_loop_in_every_mode(kind, mode, options):
    native, loop = make_native(kind, 5, mode, **options), make_loop(kind, 5, mode, **options)
    assert native.metadata["autoreset_mode"] is mode
    assert native.observation_space == loop.observation_space
    assert native.action_space == loop.action_space
    assert native.single_observation_space == loop.single_observation_space
    ends, illegal = replay(native, loop, mode, 60, np.random.default_rng(0), seed=7)
    assert ends > 10
    assert illegal > 0 or kind == "dispatch"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [2, 3, 9])
@pytest.mark.parametrize("observation", ["dict", "flat", "pairs"])
def test_threads_change_nothing(mode, threads, observation):
    native = make_native("queue", 5, mode, threads=threads, observation=observation)
    loop = make_loop("queue", 5, mode, observation=observation)
    assert native.batch.threads == min(threads, 5)
    ends, _ = replay(native, loop, mode, 40, np.random.default_rng(3), seed=1)
    assert ends > 5


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    mode=st.sampled_from(MODES),
    lanes=st.integers(1, 7),
    jobs=st.integers(1, 9),
    seed=st.one_of(st.integers(0, 2**64 + 5), st.just("list")),
    draw=st.integers(0, 1000),
)
@settings(max_examples=20)
def test_a_batch_equals_the_loop_whatever_its_size(kind, mode, lanes, jobs, seed, draw):
    rng = np.random.default_rng(draw)
    seeds = rng.integers(2**62, size=lanes).tolist() if seed == "list" else seed
    native, loop = (make(kind, lanes, mode, jobs=jobs) for make in (make_native, make_loop))
    replay(native, loop, mode, 25, rng, seeds)


@pytest.mark.parametrize("kind", KINDS)
def test_resets_count_episodes_as_single_environments_do(kind):
    native, loop = make_native(kind, 4), make_loop(kind, 4)
    mask = np.array([True, False, True, False])
    resets = [
        {"seed": 3},
        {},
        {"seed": [9, None, 9, None]},
        {"options": {"reset_mask": mask}},
        {"seed": 5, "options": {"reset_mask": mask}},
        {},
        {"seed": 2**64 - 2},
        {"seed": [2**64 + 3, 2**65, 0, None]},
        {},
    ]
    for arguments in resets:
        for _ in range(3):
            actions = np.zeros(4, np.int64)
            if native._all_started:
                assert_same(native.step(actions)[0], loop.step(actions)[0])
        one, two = native.reset(**copy.deepcopy(arguments))[0], loop.reset(**copy.deepcopy(arguments))[0]
        assert_same(one, two, str(arguments))


def test_a_reset_mask_leaves_the_other_lanes_alone():
    env = make_native("queue", 3, AutoresetMode.DISABLED, copy=True)
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.zeros(3, np.int64))
    before, jobs = env._observe(), env.batch.simulation.jobs.copy()
    mask = np.array([False, True, False])
    after, infos = env.reset(options={"reset_mask": mask})
    mask[:] = True  # it is still the caller's
    for lane, same in enumerate((True, False, True)):
        assert (before["system"][lane] == after["system"][lane]).all() == same
        assert (jobs[lane] == env.batch.simulation.jobs[lane]).all() == same
    assert infos["_time"].tolist() == [False, True, False]
    assert infos["action_mask"].any(axis=1).all()  # also of lanes that were not reset


def test_unseeded_batches_differ_and_their_lanes_too():
    def arrivals(env, **options):  # of all jobs: two first ones may well be equal
        env.reset(**options)
        return env.batch.simulation.jobs["arrival"].tolist()

    first, second = make_native("queue", 3), make_native("queue", 3)
    drawn = arrivals(first)
    assert drawn != arrivals(second)
    assert len(set(map(tuple, drawn))) == 3
    assert len(set(first._seeds.tolist())) == 3
    seeds = first._seeds.copy()
    assert arrivals(first) != drawn  # the next episodes of the same seeds
    assert (first._seeds == seeds).all()
    assert arrivals(make_native("queue", 3), seed=seeds.tolist()) == drawn


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_those_of_gymnasiums_wrapper(mode):
    """Its wrapper over the loop, and over the batch where the batch tells none itself."""
    if mode is AutoresetMode.SAME_STEP and Version(gymnasium.__version__) < Version("1.4"):
        pytest.skip("gymnasium's wrapper adds the first reward of the next episode to the last one before 1.4")
    wrapped = [make_native("queue", 4, mode, episode_statistics=False)]
    if mode is not AutoresetMode.DISABLED:  # the loop takes the reset mask away before the wrapper can see it
        wrapped.append(make_loop("queue", 4, mode))
    kinds = [make_native("queue", 4, mode), *map(RecordEpisodeStatistics, wrapped)]
    for env in kinds:
        env.reset(seed=1)
    rng, ends = np.random.default_rng(1), 0
    for _ in range(60):
        actions = rng.integers(kinds[0].single_action_space.n, size=4)
        told = [env.step(actions)[4] for env in kinds]
        assert len({"episode" in infos for infos in told}) == 1
        if "episode" in told[0]:
            ours, *others = told
            ends += int(ours["_episode"].sum())
            assert (ours["episode"]["t"] >= 0).all()
            assert (ours["episode"]["t"] < 60).all()
            for theirs in others:
                assert np.array_equal(ours["_episode"], theirs["_episode"])
                for name in "rl":
                    assert_same(ours["episode"][name], theirs["episode"][name], name)
            if mode is AutoresetMode.DISABLED:
                for env in kinds:
                    env.reset(options={"reset_mask": ours["_episode"].copy()})
    assert ends > 4


def test_infos_unpack_into_those_of_single_environments():
    env = DictInfoToList(make_native("queue", 2, AutoresetMode.SAME_STEP, episode_statistics=False))
    single = ENVIRONMENTS["queue"](small_scenario(), jobs=6)
    env.reset(seed=0)
    single.reset(seed=0)
    ended = False
    while not ended:
        infos = env.step(np.zeros(2, np.int64))[4]
        _, _, ended, _, info = single.step(0)
        ours = infos[0]["final_info"] if ended else infos[0]
        assert {name: ours[name] for name in ("elapsed", "time", "legal")} == {
            name: info[name] for name in ("elapsed", "time", "legal")
        }
    assert {name: ours[name] for name in METRICS} == {name: info[name] for name in METRICS}


def test_an_autoreset_resets_the_lanes_that_ended_and_no_other(monkeypatch):
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        env = make_native("queue", 4, mode)
        env.reset(seed=0)
        calls = []
        real = env.batch.reset
        monkeypatch.setattr(env.batch, "reset", lambda *keys, real=real, calls=calls: (calls.append(keys), real(*keys)))
        ended, resets = np.zeros(4, bool), 0
        for _ in range(40):
            calls.clear()
            before, ended = ended, env.step(np.zeros(4, np.int64))[2]
            due = before if mode is AutoresetMode.NEXT_STEP else ended
            assert len(calls) == due.any()
            if calls:
                assert calls[0][2].tolist() == due.tolist()
                assert [array.dtype for array in calls[0]] == [np.uint64, np.uint64, np.bool_]
                assert all(array.flags.writeable for array in calls[0])  # else the kernels would be compiled anew
                resets += int(due.sum())
        assert resets > 4


def test_without_copy_the_arrays_are_the_simulators():
    env = make_native("queue", 2, copy=False)
    observation, infos = env.reset(seed=0)
    masks = env.action_masks()
    after, rewards, *_, later = env.step(np.zeros(2, np.int64))
    assert all(after[name] is observation[name] for name in observation)
    assert np.shares_memory(masks, later["action_mask"])
    assert np.shares_memory(infos["action_mask"], later["action_mask"])
    kept = [array.copy() for array in (rewards, later["elapsed"], later["time"], later["legal"])]
    env.step(np.ones(2, np.int64))
    for one, two in zip(kept, (rewards, later["elapsed"], later["time"], later["legal"]), strict=True):
        assert (one == two).all()  # these are the caller's


def test_copies_outlive_the_next_step():
    env = make_native("queue", 2, copy=True)
    observation, infos = env.reset(seed=0)
    masks = env.action_masks()
    kept = copy.deepcopy((observation, infos["action_mask"], masks))
    for _ in range(5):
        after, _, _, _, later = env.step(np.zeros(2, np.int64))
    assert_same(observation, kept[0])
    assert (infos["action_mask"] == kept[1]).all()
    assert (masks == kept[2]).all()
    assert (after["system"] != observation["system"]).any()
    assert (later["action_mask"] == env.action_masks()).all()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_of_a_batch_play_on_alike(duplicate):
    env = make_native("queue", 3)
    env.reset(seed=0)
    env.step(np.zeros(3, np.int64))
    twin = duplicate(env)
    for _ in range(40):
        actions = env.action_masks().argmax(axis=1)
        one, two = env.step(actions), twin.step(actions)
        assert_same(one[0], two[0])
        assert (one[1] == two[1]).all()
        assert (env.action_masks() == twin.action_masks()).all()


@pytest.mark.parametrize(
    ("name", "kind"), [("gnnsched/Dispatch-v0", DispatchVectorEnv), ("gnnsched/Queue-v0", QueueVectorEnv)]
)
def test_make_vec_gives_the_native_batch(name, kind, recwarn):
    env = gymnasium.make_vec(name, num_envs=3, jobs=5, autoreset_mode="SameStep", copy=True)
    assert isinstance(env, kind)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.metadata["service_cycles"] == gymnasium.make(name).unwrapped.metadata["service_cycles"]
    assert env.metadata["reward_unit_cycles"] == env.batch.simulation.config.jobs * env.metadata["service_cycles"]
    observation, infos = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert infos["action_mask"].dtype == np.int8
    assert env.action_masks().dtype == np.bool_
    assert env.step(env.action_space.sample())[1].shape == (3,)
    again = gymnasium.make_vec(env.spec)
    assert isinstance(again, kind)
    assert again.num_envs == 3
    env.close()
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_other_vectorisers_work_after_a_batch_was_used(mode, threads):
    """Async forks: a child must find compiled kernels that it can run."""
    native = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=64, jobs=5, threads=threads)
    native.reset(seed=0)
    native.step(np.zeros(64, np.int64))
    arguments = {"context": "fork"} if mode == "async" else {}
    other = gymnasium.make_vec(
        "gnnsched/Queue-v0", num_envs=2, vectorization_mode=mode, vector_kwargs=arguments, jobs=5
    )
    ours = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=2, jobs=5, consecutive_seeds=True)
    try:
        assert_same(other.reset(seed=3)[0], ours.reset(seed=3)[0])
        for _ in range(12):
            one, two = other.step(np.zeros(2, np.int64)), ours.step(np.zeros(2, np.int64))
            assert_same(one[0], two[0])
            assert (one[1] == two[1]).all()
    finally:
        other.close()
