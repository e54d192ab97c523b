"""Files of records: read as they were written, played again as they were played, refused once damaged."""

import pytest

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.evaluation.records_file import read_records
from gnnsched_env.scenario import scenario_table
from tests.report import pages


def test_a_record_s_scenario_plays_its_episodes(tmp_path):
    recorded = read_records(pages.write_records(tmp_path / "a.json"))
    assert recorded.seed == 4
    for record in recorded.records:
        scenario = recorded.scenario(record)
        table = scenario_table(scenario)
        assert recorded.made_with(table)
        factory = policy_factory(record["policy"], dispatch=False)
        runs = run_policy(factory, scenario, table, dispatch=False, seed=4, episodes=record["episodes"])
        assert runs.pooled("completion").mean() == record["mean_completion"]


FAULTS = {
    "no records": (lambda data: data.update(records=[]), "must hold the records and the provenance"),
    "no provenance": (lambda data: data.pop("provenance"), "must hold the records and the provenance"),
    "a list": (lambda data: data["records"].__setitem__(1, []), r"record 1: must be an object, got \[\]"),
    "a name": (lambda data: data["records"][0].update(policy=3), "record 0: policy must be a text, got 3"),
    "a count": (lambda data: data["records"][0].update(jobs=0), "jobs must be an integer above 0, got 0"),
    "a number": (lambda data: data["records"][0].update(p95_completion=None), "p95_completion must be a finite number"),
    "no number": (lambda data: data["records"][0].update(makespan=float("nan")), "makespan must be a finite number"),
    "a huge one": (lambda data: data["records"][0].update(makespan=10**400), "makespan must be a finite number"),
    "a load": (lambda data: data["records"][0].update(load="x"), "load must be a number or null, got 'x'"),
    "an interval": (
        lambda data: data["records"][0]["ratio_to_sjf_clairvoyant"].update(completion=[1.0]),
        "ratio_to_sjf_clairvoyant must be intervals of completion and execution",
    ),
    "a section": (
        lambda data: data["records"][0].update(failures={"up": 1.0}),
        "failures must be a section of a scenario or null",
    ),
    "a lacking one": (lambda data: data["records"][0].pop("ratio_to_best_uninformed"), "must be given, or null"),
    "graphs": (lambda data: data["records"][0].update(graphs="x"), "graphs must be a list of texts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_file_is_refused_by_name(fault, tmp_path):
    change, told = FAULTS[fault]
    path = pages.write_records(tmp_path / "a.json", change=change)
    with pytest.raises(FileFormatError, match=told):
        read_records(path)
