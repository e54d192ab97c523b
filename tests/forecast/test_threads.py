"""LightGBM and torch in one process, and after a fork: each brings OpenMP, whose threads do not survive a fork."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_trees_and_networks_wait_for_no_thread_that_is_not_there():
    pytest.importorskip("torch")
    paths = [str(ROOT), *(str(ROOT / name) for name in ("baselines", "agents", "scripts"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
