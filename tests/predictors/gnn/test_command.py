"""`python scripts/studies/train_gnn_predictor.py`."""

from gnnsched_env.predictors.gnn.gnn_predictor import GnnPredictor
from scripts.studies import train_gnn_predictor
from tests.predictors.gnn.jobs import PAIRS, job_classes, random_graph

SMALL = [
    "--graphs",
    "60",
    "--most-vertices",
    "40",
    "--layers-a-graph",
    "1",
    "--small-graphs",
    "0",
    "--fleet",
    "hetero4",
    "--steps",
    "2",
    "--batch",
    "4",
    "--held-out",
    "graphlaxy",
    "rmat",
    "ego",
    "cliques",
    "--validate-every",
    "1",
    "--model.hidden",
    "6",
    "--model.width",
    "8",
    "--device",
    "cpu",
]


def test_it_trains_saves_and_resumes(tmp_path, capsys):
    out, checkpoint = tmp_path / "new" / "gnn.npz", tmp_path / "new" / "run.ckpt"
    options = [*SMALL, "--out", str(out), "--checkpoint", str(checkpoint)]
    assert train_gnn_predictor.main(options) == 0
    first = out.read_bytes()
    assert "step 2: held-out families: MAPE" in capsys.readouterr().err
    assert train_gnn_predictor.main(options) == 0
    assert "resumed at step 2 of 2" in capsys.readouterr().err and out.read_bytes() == first
    assert GnnPredictor.load(out).predict(job_classes([random_graph(0)]), PAIRS).shape == (1, len(PAIRS))


def test_a_mistake_is_one_line(tmp_path, capsys):
    assert train_gnn_predictor.main([*SMALL, "--out", str(tmp_path / "gnn.npz"), "--steps", "0"]) == 2
    assert "gnn training: steps must be" in capsys.readouterr().err
