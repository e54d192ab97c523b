"""LightGBM and torch in one process, and after a fork: each brings OpenMP, whose threads do not survive a fork."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gnnsched_env.forecast.encoding.portions import whole
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings
from tests.forecast.little_samples import layout_sample

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """\
import os, threading
import numpy as np, torch
from gnnsched_env.forecast.encoding.portions import whole
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings
from tests.forecast.little_samples import layout_sample

torch.set_num_threads(2)
sample = layout_sample()

def trees():
    ranker = BoostingRanker.fit(BoostingSettings(trees=5, least=2), [whole(sample)])
    return ranker.predict(sample)

def network():
    layer = torch.nn.Linear(100, 100)
    torch.autograd.backward((layer(torch.ones(1000, 100)) ** 2).mean())
expected = trees()
network()
assert (trees() == expected).all()
threads = [threading.Thread(target=work) for work in (trees, network, trees, network)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

child = os.fork()
if child == 0:
    os._exit(0 if (trees() == expected).all() else 1)
assert os.waitpid(child, 0)[1] == 0
"""


READING = """\
import sys
from pathlib import Path
from gnnsched_env.common.store import FORECAST_TREES, load
from gnnsched_env.forecast.models.boosting import BoostingRanker

import lightgbm
before = list(Path("/proc/self/task").iterdir())
BoostingRanker.from_stored(load(sys.argv[1], FORECAST_TREES))
assert list(Path("/proc/self/task").iterdir()) == before
"""


def run(program, *words):
    paths = [str(ROOT), *(str(ROOT / name) for name in ("baselines", "agents", "scripts"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
def test_trees_are_read_in_one_thread(tmp_path):
    """In a process that has trained none: LightGBM remembers that training was given one thread."""
    ranker = BoostingRanker.fit(BoostingSettings(trees=5, least=2), [whole(layout_sample())])
    ranker.save(tmp_path / "trees.npz")
    run(READING, str(tmp_path / "trees.npz"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_trees_and_networks_wait_for_no_thread_that_is_not_there():
    pytest.importorskip("torch")
    run(PROGRAM)
