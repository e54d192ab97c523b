"""The shipped optima: feasible, of the value that they claim, proved again, and played by the simulator."""

import json

import numpy as np
import pytest

from gnnsched_env.bounds import known_optima, lower_bound, optimum
from gnnsched_env.bounds.known import write_known_optima
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.evaluation.optimality.distances import draw_instances
from gnnsched_env.scenario import list_scenarios, load_scenario, scenario_table, simulation_settings

KNOWN = known_optima()


def scenario_of(entry):
    return load_scenario(entry.scenario).with_options(load=entry.load, jobs=entry.instance.num_jobs, split="test")


def test_there_are_some_of_every_fleet():
    assert len(KNOWN) == 36
    assert {"big_little", "flexible4", "hetero4"} <= {entry.scenario for entry in KNOWN} <= set(list_scenarios())
    assert {entry.instance.num_jobs for entry in KNOWN} == {8, 16, 24}
    assert len({entry.instance.name for entry in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry.instance.name)
def test_every_schedule_is_feasible_and_the_jobs_are_the_scenarios(entry):
    entry.plan.check(entry.instance)
    assert entry.plan.total(entry.instance) == entry.total
    assert lower_bound(entry.instance, entry.plan, rounds=200).total <= entry.total
    scenario = scenario_of(entry)
    (drawn,) = draw_instances(scenario, scenario_table(scenario), seed=entry.seed, episodes=1)
    assert np.array_equal(drawn.release, entry.instance.release)
    assert np.array_equal(drawn.latency, entry.instance.latency)


@pytest.mark.slow
@pytest.mark.parametrize("entry", KNOWN[::7], ids=lambda entry: entry.instance.name)
def test_some_are_proved_again(entry):
    pytest.importorskip("ortools.sat.python.cp_model", reason="OR-tools is not installed")
    found = optimum(entry.instance)
    assert found.proved and found.total == entry.total


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry.instance.name)
def test_the_simulator_plays_an_optimal_schedule_to_the_cycle(entry):
    """Start each job when the schedule says so, else wait."""
    scenario = scenario_of(entry).with_options(window=24)
    table = scenario_table(scenario)
    batch = scenario_batch(scenario, table, simulation_settings(scenario, table, dispatch=False), lanes=1)
    batch.reset([entry.seed])
    simulation, layout = batch.simulation, batch.layout
    while not batch.ended.all():
        lane = simulation.lanes[0]
        waiting = simulation.queue[0, lane["head"] : lane["head"] + lane["waiting"]]["job"].tolist()
        action = layout.wait_action
        for slot, job in enumerate(waiting):
            if entry.plan.starts[job] == lane["time"]:
                own = np.flatnonzero(table.choice_accelerators == entry.plan.accelerators[job])
                choice = own[table.true_cycles[simulation.jobs[0, job]["job_class"], own].argmin()]
                action = slot * table.num_choices + choice
        batch.step(np.array([action]))
        assert batch.legal.all()
    jobs = simulation.jobs[0]
    assert np.array_equal(jobs["start"], entry.plan.starts)
    assert int((jobs["finish"] - jobs["arrival"]).sum()) == entry.total


def test_files_there_and_back_and_damaged_ones(tmp_path):
    path = tmp_path / "known.json"
    write_known_optima(path, KNOWN[:3], {"made_by": "a test"})
    again = known_optima(path)
    assert [entry.to_dict() for entry in again] == [entry.to_dict() for entry in KNOWN[:3]]
    content = json.loads(path.read_text())

    def refused(change, message):
        damaged = json.loads(json.dumps(content))
        change(damaged)
        path.write_text(json.dumps(damaged))
        with pytest.raises(FileFormatError, match=message):
            known_optima(path)

    refused(lambda data: data.update(version=2), "known optima of version 1")
    refused(lambda data: data.pop("instances"), "known optima of version 1")
    refused(lambda data: data["instances"][0]["optimum"].update(total=5), "the schedule's total must be 5, got")
    refused(lambda data: data["instances"][1]["optimum"]["starts"].__setitem__(0, 0), "must not start before cycle")
    refused(lambda data: data["instances"][1]["latency"].pop(), "not an instance")
    path.write_text("{")
    with pytest.raises(FileFormatError, match="must be a JSON file"):
        known_optima(path)
