"""The live fleet on real actors: killed devices, jobs that raise, a cluster that loses a machine, bad input."""

import socket
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import make_model
from gnnsched_env.live.actors import fleet_session as sessions
from gnnsched_env.live.actors.fleet_session import ray_session
from gnnsched_env.live.actors.ray_executor import RayExecutor
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.live_fleet import LiveDevice, LiveFleet
from gnnsched_env.live.profiling.fleet_profile import check_choices, load_profile, profile_fleet
from gnnsched_env.live.scheduler import LiveScheduler
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.predictors.measured.measurements import load_measurements
from gnnsched_env.scenario import Workload
from gnnsched_env.sim import SimulationSettings
from tests import toys
from tests.extras import needs
from tests.live.test_live_scheduler import planned

pytestmark = pytest.mark.xdist_group("ray")  # clusters of one machine, one after the other

RING = Graph.from_edges(5, [0, 1, 2, 3, 4], [1, 2, 3, 4, 0], name="ring")
CLASSES = 4


def fleet_of(kind, count, **options):
    devices = [LiveDevice(name=f"d{n}", kind=kind, choices=("one", "two"), options=options) for n in range(count)]
    return LiveFleet(name="test", devices=tuple(devices))


def table_of(fleet, microseconds=2_000):
    rng = np.random.default_rng(0)
    return toys.table(
        rng.integers(microseconds, 2 * microseconds, (CLASSES, len(fleet.choice_names))) * 1_000,
        owners=fleet.choice_devices,
    )


def jobs_of(fleet, table):
    return [
        DeviceJobs(
            names=tuple(f"class{c}" for c in range(CLASSES)),
            graphs=(RING,) * CLASSES,
            models=(make_model("gcn", 3, 2),) * CLASSES,
            choices=device.choices,
            latencies=table.true_cycles[:, fleet.choice_devices == number],
        )
        for number, device in enumerate(fleet.devices)
    ]


def play(fleet, table, jobs, gap_us=1_000, during=None, address=None, tries=2):
    """Play a run; `during` is called with the executor, in a thread of its own, once the devices are up."""
    settings = SimulationSettings(mean_gap=gap_us * 1e3, unit=1e6, jobs=jobs, window=8)
    spread = address is not None
    with closing(RayExecutor(fleet, jobs_of(fleet, table), spread=spread)) as executor:
        factory = policy_factory("assignment", dispatch=False)
        live = LiveScheduler(table, settings, factory, executor, planned=planned(table, settings, 0), tries=tries)
        thread = threading.Thread(target=during or (lambda executor: None), args=(executor,))
        thread.start()
        live.run()
        thread.join()
    return live


def done(live):
    return sorted(entry["job"] for entry in live.entries if entry["event"] == "done")


def lost(live):
    return [entry for entry in live.entries if entry.get("cause") == "lost"]


def check_profile(fleet, folder):
    """Profile a fleet on two graphs, and read back what was written."""
    served = ServedClasses.of(Workload(graphs=("karate", "southern_women")))
    profile = profile_fleet(fleet, served, folder, rounds=1)
    assert profile.table.true_cycles.shape == (2, 2) and (profile.table.true_cycles >= 2_000_000).all()
    measured = load_measurements(folder / "measured.csv")
    assert measured.choices == ("d0/one", "d0/two") and len(measured.jobs) == 4 and measured.noise() == profile.noise
    assert (measured.microseconds >= 2_000).all()
    table, again, predictor = load_profile(folder / "table.npz")
    assert again.classes.digest() == served.classes.digest()
    check_choices(table, fleet, "table")
    for job_class in range(2):
        assert np.array_equal(predictor.predict(job_class), table.predicted_cycles[job_class])
    (folder / "measured.csv").unlink()
    assert load_profile(folder / "table.npz")[2] is None


@needs("ray")
@pytest.mark.slow
def test_devices_that_are_killed_and_jobs_that_raise(tmp_path):
    sleepy = fleet_of("sleep", 2)

    def kill(executor):
        for number in range(2):
            time.sleep(0.4)
            executor.stop(number, "a test kills it")

    with ray_session(sleepy):
        live = play(sleepy, table_of(sleepy), 700, during=kill)
        assert done(live) == list(range(700))
        assert len(live.fleet.down_intervals()) == len(lost(live)) == 2
        classes = live.fleet.jobs["job_class"][0]
        ended = [entry for entry in live.entries if entry["event"] == "done"]
        took = [
            entry["finished"] - entry["started"] - live.fleet.true[classes[entry["job"]], entry["choice"]]
            for entry in ended
        ]
        assert min(took) >= 0  # a device never takes less than the table says
        moody = fleet_of("tests.live.live_devices:Moody", 2, bad=1, deadly=2, folder=str(tmp_path))
        live = play(moody, table_of(moody), 60)
        classes = live.fleet.jobs["job_class"][0]
        given_up = live.fleet.given_up
        assert (given_up == (classes == 1)).all() and given_up.any()
        assert done(live) == np.flatnonzero(~given_up).tolist()
        assert [int(classes[entry["job"]]) for entry in lost(live)] == [2]
        told = {entry["why"].split(" (")[0] for entry in live.entries if entry["event"] == "give_up"}
        assert told == {"ValueError: no class1 today"}
        check_profile(fleet_of("tests.live.live_devices:Moody", 1), tmp_path / "profile")


@needs("ray")
@pytest.mark.slow
def test_a_cluster_of_three_machines_that_loses_one():
    from ray.cluster_utils import Cluster

    fleet = fleet_of("sleep", 3)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()

        def remove(executor):
            time.sleep(0.7)
            cluster.remove_node(nodes[0], allow_graceful=False)

        with ray_session(fleet, cluster.address):
            live = play(fleet, table_of(fleet), 1_000, during=remove, address=cluster.address)
        assert done(live) == list(range(1_000))
        assert len(live.fleet.down_intervals()) == 1 and not live.fleet.accelerators["up"].all()
    finally:
        cluster.shutdown()


def test_bad_fleets_and_addresses_are_told_in_one_line(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="needs a core for each of 3 devices, but this machine has 2"):
        monkeypatch.setattr(sessions, "usable_cores", lambda: 2)
        with ray_session(fleet_of("tests.live.live_devices:Moody", 3)):
            pass
    gpu = LiveDevice(name="gpu", kind="cuda", choices=("dense_gemm",))
    tried = LiveDevice(name="tried", kind="cuda", choices=("dense_gemm",), options={"device": "cpu"})
    with pytest.raises(ConfigError, match="needs a GPU for each of 1 devices, but this machine has 0"):
        sessions.check_gpus(LiveFleet(name="two", devices=(gpu, tried)), 0, "this machine")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for address, told in (("nowhere", "must be HOST:PORT"), (f"127.0.0.1:{port}", "no Ray cluster answers there")):
        with pytest.raises(ConfigError, match=f"^--address.*{told}"), ray_session(fleet_of("sleep", 1), address):
            pass
