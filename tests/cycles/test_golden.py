"""The central claim: every quantity of every golden case is exact."""

from collections import Counter
from pathlib import Path

import pytest

from gnnsched_env.cycles.golden import MODES, read_golden
from gnnsched_env.errors import FileFormatError
from scripts import check_cycles

SAMPLE = Path(__file__).parents[1] / "golden" / "omega_sample.jsonl.gz"


def test_the_sample_covers_every_mode():
    modes = Counter(case.name.rsplit("-", 1)[0] for case in read_golden(SAMPLE))
    assert set(modes) == set(MODES)
    assert modes.total() == 200


def test_the_sample_is_exact_on_every_quantity():
    wrong = {case.name: [name for name, same in case.compare().items() if not same] for case in read_golden(SAMPLE)}
    assert {name: quantities for name, quantities in wrong.items() if quantities} == {}


@pytest.mark.parametrize("name", ["golden_reference", "golden_corrected"])
def test_all_golden_cases_are_exact(shared, name, capsys):
    path = shared / "omega" / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} not found")
    assert check_cycles.main([str(path)]) == 0
    assert "cases exact on every quantity" in capsys.readouterr().out


def test_check_cycles_exits_1_on_a_mismatch(tmp_path, capsys):
    path = tmp_path / "wrong.jsonl.gz"
    _write_first(path, lambda record: record["expect"].update(cmb=record["expect"]["cmb"] + 1))
    assert check_cycles.main([str(path)]) == 1
    output = capsys.readouterr().out
    assert "MISMATCH" in output
    assert "0 of 1 cases exact" in output


def test_check_cycles_exits_1_on_a_wrong_time_stamp(tmp_path):
    path = tmp_path / "wrong.jsonl.gz"

    def delay(record):
        record["ts_cmb"][0] += 1

    _write_first(path, delay)
    assert check_cycles.main([str(path)]) == 1


@pytest.mark.parametrize("content", [b"", b"not gzip"])
def test_check_cycles_exits_1_on_a_file_without_cases(tmp_path, content):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(content)
    assert check_cycles.main([str(path)]) == 1


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "wrong.jsonl.gz"
    _write_first(path, lambda record: record.pop("T_Va"))
    with pytest.raises(FileFormatError, match=r"line 1: .*T_Va"):
        list(read_golden(path))


def _write_first(path, change):
    import gzip
    import json

    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        record = json.loads(next(lines))
    change(record)
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
