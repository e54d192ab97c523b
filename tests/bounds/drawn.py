"""Small instances, drawn."""

import numpy as np
from hypothesis import strategies as st

from gnnsched_env.bounds import Instance

SMALL = st.integers(1, 12)


@st.composite
def instances(draw, most_jobs=5, most_fleet=3):
    jobs, fleet = draw(st.integers(1, most_jobs)), draw(st.integers(1, most_fleet))
    release = draw(st.lists(st.integers(0, 20), min_size=jobs, max_size=jobs))
    row = st.lists(SMALL, min_size=fleet, max_size=fleet)
    latency = draw(st.lists(row, min_size=jobs, max_size=jobs))
    return Instance(name="toy", release=np.array(release), latency=np.array(latency))


def random_instance(jobs, seed=0, gap=5):
    """Return an instance of three accelerators, the last two equal."""
    rng = np.random.default_rng(seed)
    latency = rng.integers(1, 40, (jobs, 2))
    return Instance(name="random", release=np.cumsum(rng.integers(0, gap, jobs)), latency=latency[:, [0, 1, 1]])
