"""Tasks on a Ray cluster of several machines, all on this one: what one process gives, whatever dies; bad clusters."""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from gnnsched_agents.methods.evolution import Evolution
from gnnsched_agents.methods.registry import EvolutionConfig
from gnnsched_agents.worlds import Workloads
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.parallel import ray_session, ray_workers
from gnnsched_env.common.parallel.kept_results import KeptResults
from gnnsched_env.common.parallel.ray_session import joined_cluster
from gnnsched_env.common.parallel.task_runs import HERE, Where, run_tasks
from gnnsched_env.evaluation.compare import contest_of
from gnnsched_env.evaluation.episode_blocks import Condition
from gnnsched_env.evaluation.records import evaluate_each
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.dataset_files import build_dataset
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.scenario import load_scenario, scenario_table
from tests.commands.running import gnnsched
from tests.common.shared_tasks import die_once, multiply, products, refuse, slow_multiply
from tests.extras import needs

pytestmark = pytest.mark.xdist_group("ray")  # clusters of one machine, one after the other

MACHINES = int(os.environ.get("GNNSCHED_RAY_MACHINES", "2"))
STORE_BYTES = 80_000_000  # about the least that Ray takes


@contextmanager
def cluster():
    """Start a cluster of MACHINES, each with one core; yield it and the machine that holds no more than its core."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    try:
        yield made, [made.add_node(**options) for _ in range(MACHINES - 1)][-1]
    finally:
        made.shutdown()


@needs("ray")
@pytest.mark.slow
def test_a_cluster_gives_what_one_process_gives(tmp_path, monkeypatch, capsys):
    with cluster() as (made, machine):
        where = Where(ray=made.address)
        with pytest.raises(ConfigError, match=r"the 100,000,.* bytes that all tasks share, but has 80,000,000"):
            next(run_tasks(multiply, [1], shared=bytes(100_000_000), where=where))
        with joined_cluster(made.address):
            check_tasks(where, tmp_path)
            check_labels(where, tmp_path)
            check_records(where)
            check_weights(made.address)
            monkeypatch.setattr(ray_workers, "installed", lambda: {"numpy": "1.0"})
            with pytest.raises(ConfigError, match=r"numpy of machine .* must be 1\.0, as here, got 2"):
                next(run_tasks(multiply, [1], where=where))
            monkeypatch.undo()
            check_removed_machine(where, tmp_path, made, machine)
    assert capsys.readouterr().out == ""  # Ray would report what died there


def check_tasks(where, folder):
    here, there = (list(run_tasks(multiply, [3, 1, 2], shared={"factor": 5}, where=one)) for one in (HERE, where))
    assert products(here) == products(there) and here[0]["pair"] == there[0]["pair"]
    assert all(np.array_equal(one["row"], other["row"]) for one, other in zip(here, there, strict=True))
    keep = KeptResults(folder=folder / "kept", about="a")
    shared = {"folder": folder, "deadly": True}
    with pytest.raises(GnnSchedError, match="task 3: its worker died 4 times"):
        list(run_tasks(die_once, [1, 2, 5], shared=shared, where=where, keep=keep))
    assert (folder / "died").exists() and keep.read(1) == {"product": 1} and keep.read(2) == {"product": 2}
    with pytest.raises(ConfigError, match=r"^no 3$"):
        list(run_tasks(refuse, [2, 3], where=where))


def check_labels(where, folder):
    spec = DatasetSpec(graphs=40, seed=3, chunk_jobs=15, most_vertices=200)
    for name, one in (("here", HERE), ("there", where)):
        assert build_dataset(spec, load_fleet("hetero4"), folder / name, where=one, progress=False) == 3
    here, there = ({file.name: file.read_bytes() for file in (folder / name).iterdir()} for name in ("here", "there"))
    assert here == there and len(here) == 4


def check_records(where):
    scenario = load_scenario("hetero4").with_options(jobs=15)
    table = scenario_table(scenario)
    conditions = [Condition(scenario=scenario.with_options(load=load), table=table, graphs=()) for load in (0.5, 0.9)]
    contest = contest_of(("sjf", "random"), dispatch=False, versus=None, seed=3, episodes=5, block=2)
    here, there = (
        [compared.records for compared in evaluate_each(contest, conditions, where=one)] for one in (HERE, where)
    )
    assert here == there and len(here[1]) == 2


def check_weights(address):
    config = EvolutionConfig(width=3, pairs=2, worlds=2, lanes=2, sigma=0.3)
    here, there = (Evolution(config, Workloads(sets=2, classes=12, jobs=25, window=8), 5) for _ in range(2))
    there.run_on(address)
    for _ in range(2):
        assert here.update() == there.update()
    np.testing.assert_array_equal(here.parameters, there.parameters)


def check_removed_machine(where, folder, made, machine):
    """Remove a machine, with the processes that work there, in the middle of tasks: they run again elsewhere."""
    (ran := folder / "ran").mkdir()
    shared = {"factor": 3, "folder": ran, "seconds": 1.0}  # far longer than handing out a task takes
    results = run_tasks(slow_multiply, list(range(6)), shared=shared, where=where)
    found = [next(results)["product"]]
    raylet = machine.all_processes["raylet"][0].process.pid
    late = time.monotonic() + 30
    while len(there := begun_on(raylet, ran)) < 2 and time.monotonic() < late:  # until it has just begun another task
        time.sleep(0.02)
    made.remove_node(machine, allow_graceful=False)
    for worker in set(there):
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    assert found + products(results) == [3 * task for task in range(6)]
    assert len(list(ran.iterdir())) > 6  # one ran twice


def begun_on(raylet, folder):
    """Return the worker of each task that a machine has begun."""
    workers = [int(path.name.split("-")[1]) for path in folder.iterdir()]
    return [worker for worker in workers if parent_of(worker) == raylet]


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])


@needs("ray")
def test_clusters_that_do_not_answer_are_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        for given, told in (
            (address, "no Ray cluster answers there"),
            ("ray://a:1", "must be HOST:PORT"),
            ("a", "must"),
        ):
            with pytest.raises(ConfigError, match=f"^--ray.*{told}"), joined_cluster(given):
                pass
        # what is slow comes later: building the latencies of graphs, which here would fail
        done = gnnsched("evaluate", "--graphs", "none.npz", "--policies", "sjf", "--episodes", "1", "--ray", address)
    assert (done.returncode, done.stdout) == (2, "") and f"error: --ray {address}: no Ray cluster" in done.stderr
    stuck = threading.Event()
    for start, told in ((stuck.wait, "must answer within 0 s, but has not"), (lambda: 1 / 0, "cannot be joined")):
        with pytest.raises(ConfigError, match=told), ray_session.ray_thread(start, "it", within=0.1, told="0 s"):
            pass
    stuck.set()


def test_a_machine_with_other_versions_is_named():
    expected = {"Python": "3.11.7", "numpy": "2.0"}
    ray_session.check_same("10.0.0.2", expected, expected)
    for told, message in (
        (expected | {"Python": "3.12.0"}, "Python of machine 10.0.0.2 must be 3.11.7, as here, got 3.12.0"),
        ("No module named 'gnnsched_env'", "machine 10.0.0.2 must have gnnsched-env installed"),
    ):
        with pytest.raises(ConfigError, match=message):
            ray_session.check_same("10.0.0.2", told, expected)
