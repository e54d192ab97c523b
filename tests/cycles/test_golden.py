"""The central claim: every quantity of every golden case is exact."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from gnnsched_cli.main import main
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.cycles.golden import MODES, read_golden

SAMPLE = Path(__file__).parents[1] / "golden" / "omega_sample.jsonl.gz"


def test_the_sample_covers_every_mode():
    modes = Counter(case.name.rsplit("-", 1)[0] for case in read_golden(SAMPLE))
    assert set(modes) == set(MODES)
    assert modes.total() == 200


def test_the_sample_is_exact_on_every_quantity():
    wrong = {case.name: [one for one in case.compare() if not one.exact] for case in read_golden(SAMPLE)}
    assert {name: quantities for name, quantities in wrong.items() if quantities} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["golden_reference", "golden_corrected"])
def test_all_golden_cases_are_exact(shared, name, capsys):
    path = shared / "omega" / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} not found")
    assert main(["check-cycles", str(path)]) == 0
    assert "cases exact on every quantity" in capsys.readouterr().out


def test_check_cycles_exits_1_on_a_mismatch(tmp_path, capsys):
    path = tmp_path / "wrong.jsonl.gz"
    _write_first(path, lambda record: record["expect"].update(cmb=record["expect"]["cmb"] + 1))
    assert main(["check-cycles", str(path)]) == 1
    output = capsys.readouterr().out
    assert "MISMATCH" in output
    found = re.search(r"wrong\.jsonl\.gz, line 1 \(\w+-\d+\) cmb: expected (\d+), got (\d+)", output)
    assert int(found[1]) == int(found[2]) + 1
    assert "0 of 1 cases exact" in output


def test_check_cycles_exits_1_on_a_wrong_time_stamp(tmp_path):
    path = tmp_path / "wrong.jsonl.gz"

    def delay(record):
        record["ts_cmb"][0] += 1

    _write_first(path, delay)
    assert main(["check-cycles", str(path)]) == 1


@pytest.mark.parametrize("content", [b"", b"not gzip"])
def test_check_cycles_exits_2_on_a_file_without_cases(tmp_path, content):
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(content)
    assert main(["check-cycles", str(path)]) == 2


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "wrong.jsonl.gz"
    _write_first(path, lambda record: record.pop("T_Va"))
    with pytest.raises(FileFormatError, match=r"line 1: .*T_Va"):
        list(read_golden(path))


BAD = {
    "expect is a list": (lambda record: record.update(expect=[1]), "expect must be an object"),
    "expect is empty": (lambda record: record.update(expect={}), "missing: agg_sim"),
    "one quantity is missing": (lambda record: record["expect"].pop("cmb"), "missing: cmb"),
    "one quantity is unknown": (lambda record: record["expect"].update(other=1), "unknown: other"),
    "half a cycle": (
        lambda record: record["expect"].update(cmb=record["expect"]["cmb"] + 0.5),
        "cmb must be an integer",
    ),
    "a digit string": (lambda record: record["expect"].update(cmb="5"), "cmb must be an integer"),
    "stamps of 1e30": (lambda record: record["ts_agg"].__setitem__(0, 10**30), "ts_agg must hold integers within 2"),
    "rowptr of 1e30": (lambda record: record["rowptr"].__setitem__(1, 1e30), "rowptr must hold integers within 2"),
    "rowptr of 0.5": (lambda record: record["rowptr"].__setitem__(1, 0.5), "rowptr must hold integers"),
    "rowptr is a number": (lambda record: record.update(rowptr=5), "rowptr must be a list"),
    "huge F": (lambda record: record.update(F=10**25), "F must be an integer within 2"),
    "wide F": (lambda record: record.update(F=10**9), "in_features must be at most 2"),
    "F of 1e25": (lambda record: record.update(F=1e25), "F must be an integer"),
    "mode is a list": (lambda record: record.update(mode=[]), "mode must be one of"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_record_is_refused_with_file_and_line(tmp_path, capsys, fault):
    change, message = BAD[fault]
    path = tmp_path / "wrong.jsonl.gz"
    _write_first(path, change)
    assert main(["check-cycles", str(path)]) == 2
    error = capsys.readouterr().err
    assert "wrong.jsonl.gz, line 1: not a golden case" in error
    assert message in error


def test_deep_nesting_is_refused(tmp_path, capsys):
    path = tmp_path / "deep.jsonl.gz"
    path.write_bytes(gzip.compress(b"[" * 200_000))
    assert main(["check-cycles", str(path)]) == 2
    assert "line 1: not a golden case: nested too deeply" in capsys.readouterr().err


def test_flipped_bits_are_refused(tmp_path, capsys):
    path = tmp_path / "flipped.jsonl.gz"
    data = bytearray(SAMPLE.read_bytes())
    path.write_bytes(data[:40] + bytes([data[40] ^ 0xFF]) + data[41:])
    assert main(["check-cycles", str(path)]) == 2
    assert "flipped.jsonl.gz, line " in capsys.readouterr().err


def test_a_missing_file_is_said_to_be_missing(tmp_path, capsys):
    assert main(["check-cycles", str(tmp_path / "absent.jsonl.gz")]) == 2
    assert "absent.jsonl.gz: not found" in capsys.readouterr().err


def test_an_empty_file_beside_a_good_one_fails(tmp_path, capsys):
    good, empty = tmp_path / "good.jsonl.gz", tmp_path / "empty.jsonl.gz"
    _write_first(good, lambda record: None)
    empty.write_bytes(gzip.compress(b"\n"))
    assert main(["check-cycles", str(good)]) == 0
    assert main(["check-cycles", str(good), str(empty)]) == 2
    assert "empty.jsonl.gz: must hold at least one case" in capsys.readouterr().err


def _write_first(path, change):
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        record = json.loads(next(lines))
    change(record)
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
