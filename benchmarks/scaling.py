"""Time what running tasks in several processes, or on a Ray cluster, costs and gains.

    python -m benchmarks.scaling --ray

Real tasks of each command run in one process and in two. Then tasks that sleep take their place, in more workers than
there are cores: the share of the workers' time that is lost, by the length of a task, and the tasks a second that the
driver hands out at most. A command's workers are of use up to that limit times the seconds of one of its tasks. `--ray`
also starts a cluster on this machine (extra `ray`), each of whose machines has four cores in name only, and says what
PPO could gain if actors of such a cluster played its lanes; `--only-ppo` says nothing else.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.methods.evolution import Place, Task, play_task
from gnnsched_agents.methods.ppo import Ppo
from gnnsched_agents.methods.registry import EvolutionConfig, PpoConfig
from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_network import initial_network
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.parallel.ray_session import joined_cluster
from gnnsched_env.common.parallel.task_runs import HERE, TaskRunner, Where
from gnnsched_env.common.progress import Advance
from gnnsched_env.evaluation import policy_factories
from gnnsched_env.evaluation.episode_blocks import Block, Condition, Players, play_block
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.tables import distinct_pairs, pair_cycles

LENGTHS_S = (0.001, 0.01, 0.1, 1.0)
MACHINE_CORES = 4
SECONDS_EACH = 4.0  # that a measurement of sleeping tasks lasts, about
EMPTY_TASKS = 3_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ray", action="store_true", help="also measure a Ray cluster of this machine's own")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8], help="numbers of workers that sleep")
    parser.add_argument("--tasks", type=int, default=8, help="real tasks of each kind")
    parser.add_argument("--only-ppo", action="store_true", help="measure only what remote lanes could gain PPO")
    arguments = parser.parse_args()
    if arguments.only_ppo:
        print_remote_lanes()
        return
    limits = {"processes": empty_tasks(Where(workers=2))}
    lost = {("processes", n): lost_shares(Where(workers=n), n) for n in arguments.workers}
    if arguments.ray:
        for workers in arguments.workers:
            with own_cluster(workers) as address:
                where = Where(ray=address)
                limits["Ray"] = max(limits.get("Ray", 0.0), empty_tasks(where))
                lost["Ray", workers] = lost_shares(where, workers)
    print("| tasks run in | tasks a second at most |\n|---|---:|")
    for name, limit in limits.items():
        print(f"| {name} | {limit:,.0f} |")
    print(f"\n| share of time lost | workers | {' | '.join(f'{length:g} s a task' for length in LENGTHS_S)} |")
    print("|---|---:|" + "---:|" * len(LENGTHS_S))
    for (name, workers), shares in lost.items():
        print(f"| {name} | {workers} | {' | '.join(f'{share:.0%}' for share in shares)} |")
    useful = " | ".join(f"workers of use, {name}" for name in limits)
    print(f"\n| task | seconds | two processes are faster by | {useful} |\n|---|---:|---:|{'---:|' * len(limits)}")
    for name, (function, shared, tasks) in real_tasks(arguments.tasks).items():
        alone, both = (rate(function, shared, tasks, where) for where in (HERE, Where(workers=2)))
        of_use = " | ".join(f"{limit / alone:,.0f}" for limit in limits.values())
        print(f"| {name} | {1 / alone:.3g} | {both / alone:.2f} | {of_use} |")
    if arguments.ray:
        print_remote_lanes()


Work = tuple[Callable[[Any, Any, Advance], Any], Any, Sequence[Any]]


def real_tasks(count: int) -> dict[str, Work]:
    """Return, for each kind of task, its function, what its tasks share, and `count` of them."""
    register_policies()
    spec = DatasetSpec(graphs=500 * count)
    pairs = distinct_pairs(load_fleet("big_little")).pairs
    scenario = load_scenario("hetero4").with_options(jobs=1000)
    condition = Condition(scenario=scenario, table=scenario_table(scenario), graphs=())
    policies = policy_factories(("sjf", "assignment"), dispatch=False)
    players = Players(conditions={"": condition}, policies=policies, reference=policies["sjf"])
    blocks = {
        name: [
            Block(condition="", policy=name, source="", dispatch=False, first=128 * i, episodes=128)
            for i in range(count)
        ]
        for name in policies
    }
    place = Place(workloads=Workloads(), table=0, load=0.8, lanes=4, seed=0)
    members = (initial_network(EvolutionConfig().width, np.random.default_rng(0)),) * 2 * EvolutionConfig().pairs
    member_task = Task(place=place, members=members, reference=True)
    return {
        "labels: a chunk of 500 jobs, 27 pairs": (label_chunk, (spec, pairs), range(count)),
        **{f"evaluation: 128 episodes of {name}": (play_block, players, own) for name, own in blocks.items()},
        "evolution: 16 members in a world": (
            play_task,
            None,
            [member_task] * count,
        ),
    }


def label_chunk(shared: Any, chunk: int, advance: Advance) -> dict[str, Any]:
    """Label a chunk's jobs."""
    spec, pairs = shared
    return {"cycles": pair_cycles(training_chunk(spec, chunk), pairs, workers=1)}


def nap(seconds: float, task: int, advance: Advance) -> dict[str, Any]:
    """Sleep; a task that takes no time does nothing."""
    if seconds:
        time.sleep(seconds)
    return {}


def rate(function: Callable[[Any, Any, Advance], Any], shared: Any, tasks: Sequence[Any], where: Where) -> float:
    """Return how many tasks a second end, after as many as there are workers have been run once."""
    with TaskRunner(function, shared, where) as runner:
        list(runner.run(tasks[: max(2, runner.workers())]))
        start = time.perf_counter()
        list(runner.run(tasks))
        return len(tasks) / (time.perf_counter() - start)


def empty_tasks(where: Where) -> float:
    """Return how many tasks a second that do nothing end."""
    return statistics.median(rate(nap, 0.0, range(EMPTY_TASKS), where) for _ in range(3))


def lost_shares(where: Where, workers: int) -> list[float]:
    """Return, for each length of a task, the share of the workers' time in which they do not sleep."""
    shares = []
    for length in LENGTHS_S:
        count = workers * max(3, round(SECONDS_EACH / length / 2))
        shares.append(max(0.0, 1.0 - rate(nap, length, range(count), where) * length / workers))
    return shares


def print_remote_lanes() -> None:
    """Print what PPO could gain if Ray's actors played its lanes: an update's parts, and the transfer of a rollout.

    Playing and learning are processor seconds. A rollout is brought from one actor, the fastest of some times; by a
    network it takes its bytes over the network's rate. Actors send to one learner, so that what they send comes one
    after the other: however many there are, an update takes that and the learning.
    """
    ppo = Ppo(PpoConfig(redraw=1_000_000, device="cpu", threads=1), Workloads(sets=2, classes=64), 0)
    times = [(time.process_time(), ppo.play(), time.process_time(), ppo.learn(), time.process_time()) for _ in range(6)]
    playing = statistics.median(middle - start for start, _, middle, _, _ in times[2:])
    learning = statistics.median(end - middle for _, _, middle, _, end in times[2:])
    rollout = [array for world in range(ppo.config.worlds) for array in ppo.played.of_world(world)]
    size = sum(array.nbytes for array in rollout)
    with own_cluster(2):
        ways = {"one machine": min(bring(rollout, 20))}
    ways |= {f"{gigabits} Gb/s": 8 * size / gigabits / 1e9 for gigabits in (10, 1)}
    print(
        f"\nAn update of PPO, {len(ppo.played):,} decisions: playing {playing:.3f} s, learning {learning:.3f} s, ",
        end="",
    )
    print(f"{playing / (playing + learning):.0%} of it playing; a rollout has {size / 1e6:.1f} MB\n")
    print("| a rollout comes within | seconds | faster by 4 actors | by any number at most |\n|---|---:|---:|---:|")
    for way, seconds in ways.items():
        gains = ((playing + learning) / (part + seconds + learning) for part in (playing / 4, 0.0))
        print(f"| {way} | {seconds:.3f} | {' | '.join(f'{gain:.2f}' for gain in gains)} |")


def bring(arrays: Sequence[NDArray[Any]], times: int) -> list[float]:
    """Return the seconds in which the arrays come from an actor, each time."""
    import ray

    holder = ray.remote(num_cpus=1)(Holder).remote(arrays)
    ray.get(holder.rollout.remote())
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        ray.get(holder.rollout.remote())
        seconds.append(time.perf_counter() - start)
    return seconds


class Holder:
    """Holds arrays in an actor."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self.arrays = arrays

    def rollout(self) -> Sequence[NDArray[Any]]:
        """Return them."""
        return self.arrays


@contextmanager
def own_cluster(workers: int) -> Iterator[str]:
    """Start a cluster of machines of up to MACHINE_CORES cores in name, join it, and yield its address."""
    from ray.cluster_utils import Cluster

    cores = [min(MACHINE_CORES, workers - first) for first in range(0, workers, MACHINE_CORES)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores[0], "include_dashboard": False})
    try:
        for count in cores[1:]:
            cluster.add_node(num_cpus=count)
        with joined_cluster(cluster.address):
            yield cluster.address
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
