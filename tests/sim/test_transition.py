"""The compiled transition against its slow twin, on random fleets, loads, failures, objectives and actions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.envs.spaces import PAIR_FIELDS
from gnnsched_env.sim import (
    Modulation,
    Simulation,
    SimulationSettings,
    Waiting,
    WindowOrder,
    fleet_capacity,
    seed_arrays,
)
from gnnsched_env.sim.records import NEVER
from tests import toys
from tests.twins import fleet as naive_fleet
from tests.twins import observation as naive_observation
from tests.twins import pairs as naive_pairs

pytestmark = pytest.mark.kernels

SHORT = 0.01  # latencies of a few cycles: many things happen at once


@st.composite
def decision_costs(draw):
    """Return what deciding costs, from nothing to more than a typical latency, some jobs coming unpredicted."""
    cached = draw(st.booleans())
    decision = draw(st.sampled_from([0, 0, 1, 40, 1500]))
    if draw(st.integers(0, 3)) == 0:
        return {"decision": decision, "skip_below": draw(st.integers(1, 6))}
    lookup = draw(st.integers(0, decision)) if cached else 0
    return {"decision": decision, "workers": draw(st.integers(1, 4)), "cached": cached, "lookup": lookup}


@st.composite
def arrival_processes(draw):
    """Return how jobs come (phases in mean gaps), what they are and when they are due (in units)."""
    kind = draw(st.sampled_from(Modulation))
    phases = draw(
        st.lists(st.tuples(st.floats(0.3, 30), st.sampled_from([0.0, 0.2, 1.0, 6.0])), min_size=1, max_size=4)
    )
    return {
        "modulation": kind,
        "phases": () if kind is Modulation.STEADY else (*phases, (2.0, 1.5)),
        "drift": draw(st.sampled_from([0.0, 0.0, 0.6, 1.0])),
        "mix_jobs": draw(st.integers(1, 40)),
        "priorities": draw(
            st.sampled_from([(), ((2.5, 1.0),), ((1.0, 3.0), (8.0, 1.0)), ((0.1, 1.0), (0.7, 1.0), (3.0, 2.0))])
        ),
        "slack": draw(st.sampled_from([None, (0.0, 0.0), (0.0, 3.0), (2.0, 40.0)])),
    }


@st.composite
def failures(draw):
    """Return mean times up and down in units; up 0: nothing fails."""
    if draw(st.booleans()):
        return 0.0, 0.0
    return draw(st.sampled_from([1.0, 5.0, 40.0])), draw(st.sampled_from([0.01, 1.0, 9.0]))


prices = st.sampled_from([0.0, 1.0, 0.3])
objectives = st.fixed_dictionaries(
    {"completion": prices, "weighted": prices, "tardiness": prices, "energy": prices, "shaped": st.booleans()}
)
rules = st.fixed_dictionaries(
    {
        "dispatch": st.booleans(),
        "window_order": st.sampled_from(WindowOrder),
        "choose_dataflow": st.booleans(),
        "waiting": st.sampled_from(Waiting),
        "window": st.integers(1, 5),
        "repeats": st.sampled_from([1, 1, 3, 1000]),
        "jobs": st.integers(1, 25),
    }
)


def random_table(rng, scale, erring):
    """Return a table of two groups of classes with energies, its latencies scaled; `erring` if errors are known."""
    table = toys.random_table(rng)
    cycles = {
        name: np.maximum(1, np.rint(getattr(table, name) * scale).astype(np.int64))
        for name in ("true_cycles", "predicted_cycles")
    }
    return replace(
        table,
        **cycles,
        energy_pj=rng.uniform(1.0, 50.0, table.true_cycles.shape),
        weights=rng.uniform(0.2, 1.0, table.num_classes),
        class_groups=rng.integers(0, 2, table.num_classes),
        group_names=("one", "other"),
        log_errors=np.sort(rng.normal(0.1, 0.5, (200, table.num_choices)), axis=0) if erring else None,
    )


def settings_of(table, speed, rules, process, failing, objective, cost):
    """Return settings whose times are in units of the table's mean best latency."""
    unit = table.mean_shortest_predicted * rules["repeats"]
    longest = float(table.true_cycles.max() * rules["repeats"])
    longest = max(longest, float(table.predicted_cycles.max() * rules["repeats"]))
    gap = unit * speed
    up, down = failing
    return SimulationSettings(
        mean_gap=gap,
        unit=unit,
        **rules,
        **cost,
        **objective,
        **process
        | {
            "phases": tuple((length * gap, rate) for length, rate in process["phases"]),
            "slack": process["slack"] and tuple(part * unit for part in process["slack"]),
        },
        mean_up=up and max(up * unit, longest / 4),
        mean_down=down * unit,
    )


def lane_of(simulation, i):
    """Return what the simulator knows of a lane, as the twin says it."""
    lane, machines, jobs = simulation.lanes[i], simulation.accelerators[i], simulation.jobs[i]
    head = int(lane["head"])
    own = [int(row["queued"]) for row in machines]
    return {
        "time": (int(lane["time"]), int(lane["decided"]), int(lane["elapsed"])),
        "next": tuple(int(lane[name]) for name in ("soonest", "next_change", "next_ready")),
        "counts": tuple(int(lane[name]) for name in ("arrived", "done", "waiting", "most_waiting", "steps", "aborted")),
        "machines": (int(lane["idle"]), int(lane["running"])),
        "order": simulation.queue[i, head : head + int(lane["waiting"])]["job"].tolist(),
        "work": (int(lane["waiting_work"]), int(lane["shown_work"]), machines["preferred_work"].tolist()),
        "beliefs": [
            (int(row["believed_finish"]) if row["job"] >= 0 else None, int(row["queued_work"])) for row in machines
        ],
        "own": [_linked(jobs, row) for row in machines],
        "queued": own,
        "configured": machines["choice"].tolist(),
        "up": [(bool(row["up"]), int(row["changed"])) for row in machines],
        "busy": machines["busy_cycles"].tolist(),
        "ended": (bool(lane["ended"]), bool(lane["legal"])),
        "records": [
            tuple(int(row[name]) for name in ("arrival", "ready", "start", "finish", "job_class", "choice", "aborted"))
            for row in jobs
        ],
        "due": jobs["due"].tolist(),
        "weights": jobs["weight"].tolist(),
        "aborted": [tuple(int(part) for part in run) for run in simulation.aborted_runs(i).tolist()],
        "downs": [tuple(interval) for interval in simulation.down_intervals(i).tolist()],
    }


def _linked(jobs, machine):
    """Return the jobs of an accelerator's own queue, first to last."""
    found, job = [], int(machine["head"])
    for _ in range(int(machine["queued"])):
        found.append(job)
        job = int(jobs[job]["next"])
    return found


def twin_of(twin, lanes):
    """Return the same of the twin, one of so many lanes: each remembers 65,536 // lanes aborted runs, or 256."""
    remembered = max(256, 65_536 // lanes)
    machines = twin.machines
    running = [machine.until for machine in machines if machine.running]
    came = len(twin.came)
    preferred = [0] * len(machines)
    for job in twin.waiting:
        preferred[twin.preferred(job)] += twin.shortest(job)
    stops = [run.job for run in twin.aborted]
    return {
        "time": (twin.time, twin.decided, twin.elapsed),
        "next": (
            min([*running, NEVER]),
            min([*twin.next_change, NEVER]),
            max(twin.free, twin.to_come[0].ready) if twin.to_come else NEVER,
        ),
        "counts": (came, len(twin.done), len(twin.waiting), twin.most_waiting, twin.steps, len(twin.aborted)),
        "machines": (sum(machine.idle for machine in machines), len(running)),
        "order": [job.number for job in twin.waiting],
        "work": (
            sum(twin.shortest(job) for job in twin.waiting),
            sum(twin.shortest(job) for job in twin.shown()),
            preferred,
        ),
        "beliefs": twin.beliefs(),
        "own": [[job.number for job, _ in machine.backlog] for machine in machines],
        "queued": [len(machine.backlog) for machine in machines],
        "configured": [machine.choice for machine in machines],
        "up": [(machine.up, machine.changed) for machine in machines],
        "busy": [twin.busy_cycles(a) for a in range(len(machines))],
        "ended": (twin.ended, twin.was_legal),
        "records": [
            (job.arrival, job.ready, job.start, job.finish, job.job_class, job.choice, stops.count(job.number))
            for job in twin.jobs
        ],
        "due": [NEVER if job.due is None else job.due for job in twin.jobs],
        "weights": [job.weight for job in twin.jobs],
        "aborted": [(run.job, run.machine, run.choice, run.start, run.finish) for run in twin.aborted[-remembered:]],
        "downs": twin.down_intervals(),
    }


def compare(twin, batch, i, price, rate):
    """Compare a lane's state, sums, mask and observations with the twin's; `rate` is the fleet's largest."""
    simulation = batch.simulation
    lane, config = simulation.lanes[i], twin.config
    assert lane_of(simulation, i) == twin_of(twin, len(simulation.lanes))
    assert lane["recent_gap"] == pytest.approx(twin.recent_gap, rel=1e-12)
    assert lane["total_energy"] == pytest.approx(twin.total_energy(), rel=1e-9, abs=1e-6)
    if config.shaped:
        assert lane["potential"] == pytest.approx(twin.potential, rel=1e-9)
    if config.weighted:
        in_system = sum(job.weight for job in twin.came if job.finish < 0)
        assert lane["weight"] == pytest.approx(in_system, rel=1e-6, abs=1e-9)
    assert batch.mask[i].tolist() == twin.legal()
    for name, expected in naive_observation.observe(twin, price).items():
        assert batch.observation[name][i] == pytest.approx(expected, abs=2e-6), name
    for action, (row, expected) in enumerate(
        zip(batch.observed[i], naive_pairs.observe(twin, price, rate), strict=True)
    ):
        told = dict(zip(PAIR_FIELDS, row.tolist(), strict=True))
        assert told == pytest.approx(dict(zip(PAIR_FIELDS, expected.tolist(), strict=True)), abs=2e-6), action


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    table_seed=st.integers(0, 1000),
    scale=st.sampled_from([1.0, SHORT]),
    speed=st.sampled_from([1e-9, 0.05, 0.3, 1.0, 3.0]),
    reconfiguration=st.sampled_from([[0, 0, 0], [50, 0, 7]]),
    rules=rules,
    process=arrival_processes(),
    failing=failures(),
    objective=objectives,
    cost=decision_costs(),
    manner=st.sampled_from(["eager", "legal", "random"]),
    erring=st.booleans(),
)
@example(  # a weight that float32 rounds, charged while a job is predicted
    seed=0,
    table_seed=0,
    scale=SHORT,
    speed=1e-9,
    reconfiguration=[0, 0, 0],
    rules={
        "dispatch": False,
        "window_order": WindowOrder.ARRIVAL,
        "choose_dataflow": False,
        "window": 1,
        "repeats": 1,
        "jobs": 1,
    },
    process={
        "modulation": Modulation.STEADY,
        "phases": (),
        "drift": 0.0,
        "mix_jobs": 1,
        "priorities": ((0.1, 1.0), (0.7, 1.0), (3.0, 2.0)),
        "slack": None,
    },
    failing=(1.0, 0.01),
    objective={"completion": 0.0, "weighted": 1.0, "tardiness": 0.0, "energy": 0.0, "shaped": False},
    cost={"decision": 40, "workers": 1, "cached": False, "lookup": 0},
    manner="eager",
    erring=False,
)
@example(  # more than 256 runs that failures stop
    seed=555077,
    table_seed=237,
    scale=1.0,
    speed=1e-9,
    reconfiguration=[0, 0, 0],
    rules={
        "dispatch": True,
        "window_order": WindowOrder.ARRIVAL,
        "choose_dataflow": True,
        "window": 1,
        "repeats": 1,
        "jobs": 10,
    },
    process={
        "modulation": Modulation.STEADY,
        "phases": (),
        "drift": 0.0,
        "mix_jobs": 1,
        "priorities": (),
        "slack": None,
    },
    failing=(1.0, 0.01),
    objective={"completion": 0.0, "weighted": 0.0, "tardiness": 0.0, "energy": 0.0, "shaped": False},
    cost={"decision": 0, "workers": 1, "cached": False, "lookup": 0},
    manner="random",
    erring=True,
)
def test_the_kernels_agree_with_the_twin(
    seed, table_seed, scale, speed, reconfiguration, rules, process, failing, objective, cost, manner, erring
):
    rng = np.random.default_rng(table_seed)
    table = random_table(rng, scale, erring)
    if rules["dispatch"]:
        rules |= {"window": 1, "waiting": Waiting.FREE}
    config = settings_of(table, speed, rules, process, failing, objective, cost)
    batch = EnvBatch(table, config, lanes=2, reconfiguration=reconfiguration, observation="pairs")
    batch.reset([seed, seed], [0, 1])
    rate = fleet_capacity(batch.simulation.predicted, batch.table.weights, table.choice_accelerators).rate
    price = batch.observation["accelerators"][0].reshape(3, -1)[:, 6].tolist()
    twins = [naive_fleet.NaiveFleet(table, config, seed, episode, reconfiguration) for episode in (0, 1)]
    for i, twin in enumerate(twins):
        compare(twin, batch, i, price, rate)
    while not batch.ended.all():
        actions = np.array([_pick(rng, twin, batch.layout.num_actions, manner) for twin in twins])
        going = [not twin.ended for twin in twins]
        batch.step(actions)
        for i, (twin, action, goes) in enumerate(zip(twins, actions.tolist(), going, strict=True)):
            if goes:
                expected = -twin.step(action) / config.unit
                assert batch.rewards[i] == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(1, twin.charged))
                compare(twin, batch, i, price, rate)


def _pick(rng, twin, actions, manner):
    legal = np.flatnonzero(twin.legal())
    if manner == "random":
        return int(rng.integers(-1, actions + 1))
    return int(legal[0] if manner == "eager" else rng.choice(legal))


def test_random_numbers_are_those_of_the_twin():
    table = toys.random_table(np.random.default_rng(5))
    config = SimulationSettings(mean_gap=1234.5, unit=1.0, jobs=200, window=1, dispatch=True)
    fleet = Simulation(table, config)
    fleet.reset(*seed_arrays([2**64 - 1], [3]), np.ones(1, bool))
    while not fleet.lanes["ended"][0]:
        fleet.step(np.zeros(1, np.int64))
    weights = np.cumsum(table.weights)
    expected = naive_fleet.draw_jobs(2**64 - 1, 3, 200, 1234.5, (weights / weights[-1]).tolist())
    assert [(row["arrival"], row["job_class"]) for row in fleet.jobs[0]] == expected


def test_arrivals_and_failures_do_not_depend_on_actions_or_on_the_lane():
    table = toys.random_table(np.random.default_rng(1))
    config = SimulationSettings(
        mean_gap=300.0, unit=1.0, jobs=50, window=4, mean_up=9000.0, mean_down=500.0, slack=(5.0, 900.0),
        priorities=((1.0, 1.0), (2.0, 1.0)), modulation=Modulation.MARKOV, phases=((3000.0, 0.5), (1000.0, 2.5)),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    drawn, downs = [], []
    for lanes, lane in ((1, 0), (3, 2)):
        fleet = Simulation(table, config, lanes=lanes)
        fleet.reset(*seed_arrays([9] * lanes, [4] * lanes), np.ones(lanes, bool))
        while not fleet.lanes["ended"].all():
            fleet.step(rng.integers(0, 25, lanes))
        drawn.append(fleet.jobs[lane][["arrival", "job_class", "due", "weight"]].tolist())
        downs.append([tuple(down) for down in fleet.down_intervals(lane) if down["end"] < fleet.lanes["time"][lane]])
    assert drawn[0] == drawn[1]
    common = [set(intervals) for intervals in downs]
    assert len(min(common, key=len)) > 3
    assert common[0] <= common[1] or common[1] <= common[0]


def test_uniforms_fill_the_unit_interval_evenly():
    draws = np.array([naive_fleet.uniform(naive_fleet.stream_key(7, 0, 1), index) for index in range(20_000)])
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert counts.sum() == 20_000
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-squared, 19 degrees of freedom: p of about 1e-4
