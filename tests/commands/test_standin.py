import zipfile

from gnnsched_cli.main import main
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.standin import made
from scripts.studies import describe_tpugraphs, tpugraphs_gap

TINY = ["--layouts", "1", "0", "0", "--tiles", "1", "0", "0", "--nodes", "876", "--configs", "109", "150"]


def test_it_makes_describes_and_refuses_to_overwrite(tmp_path, capsys):
    out = ["--out", str(tmp_path / "data")]
    assert main(["forecast", "standin", *out, "--seed", "4", *TINY]) == 0
    assert "5 files" in capsys.readouterr().out
    paths = list(made(tmp_path / "data"))
    first = [path.read_bytes() for path in paths]
    assert open_program(paths[0]).num_configs <= 150 and "_4_train_0000" in paths[0].name
    assert main(["forecast", "standin", *out, "--seed", "4", *TINY]) == 2
    assert "must be empty unless forced" in capsys.readouterr().err
    assert main(["forecast", "standin", *out, "--seed", "4", *TINY, "--force"]) == 0
    assert [path.read_bytes() for path in made(tmp_path / "data")] == first
    capsys.readouterr()
    assert describe_tpugraphs.main(["--folder", str(tmp_path / "data")]) == 0
    table = capsys.readouterr().out
    assert "edges / node" in table and "tile:xla" in table and "in slow mode" in table
    with zipfile.ZipFile(paths[0], "a") as archive:
        archive.getinfo("node_config_feat.npy").compress_type = 99
        archive.writestr("note.txt", "the directory is written anew")
    assert describe_tpugraphs.main(["--folder", str(tmp_path / "data")]) == 0
    said = capsys.readouterr()
    assert f"skipped: {paths[0]}: array 'node_config_feat'" in said.err and "tile:xla" in said.out


def test_bad_arguments_end_in_one_line(tmp_path, capsys):
    for arguments, message in (
        (["--out", str(tmp_path), "--nodes", "10"], "nodes must be 876"),
        ([], "missing from gnnsched forecast standin: --out PATH"),
    ):
        assert main(["forecast", "standin", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_only_a_stand_in_is_described(tmp_path, capsys):
    assert describe_tpugraphs.main(["--folder", str(tmp_path)]) == 2
    assert "must hold standin.json" in capsys.readouterr().err


def test_the_gap_is_printed_without_writing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["--layouts", "2", "0", "1", "--nodes", "876", "--configs", "150", "200"]
    assert tpugraphs_gap.main(tiny) == 0
    rows = capsys.readouterr().out
    assert rows.count("layout:") == 4 and not list(tmp_path.iterdir())
