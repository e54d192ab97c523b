"""A policy's file sees observations alone: what it tries beyond them is refused, told in a line, or has no effect."""

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401  (registers sjf)
from gnnsched_env.bench.arena.file_policy import FilePolicy
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

SJF = """
import numpy as np

def choose(observation, mask):
    cost = np.full(len(mask), np.inf)
    latencies = observation["latencies"].ravel()
    cost[: len(latencies)] = latencies
    cost[~mask] = np.inf
    return int(cost.argmin()) if np.isfinite(cost.min()) else len(mask) - 1
"""
FIRST = """
def choose(observation, mask):
    return int(mask.argmax())
"""
SCENARIO = load_scenario("hetero4").with_options(jobs=6)


def completions(source, tmp_path, *, scenario=SCENARIO, episodes=1, **limits):
    path = tmp_path / "mine.py"
    path.write_text(source)
    table = scenario_table(scenario)
    played = run_policy(
        lambda layout, table: FilePolicy(layout, path=str(path), **limits),
        scenario,
        table,
        dispatch=False,
        seed=3,
        episodes=episodes,
    )
    return played.metrics.completion


def registered(name, *, scenario=SCENARIO, episodes=1):
    table = scenario_table(scenario)
    factory = policy_factory(name, dispatch=False)
    return run_policy(factory, scenario, table, dispatch=False, seed=3, episodes=episodes).metrics.completion


@pytest.mark.parametrize("options", [{}, {"dataflow": "predicted_best"}])
def test_shortest_job_first_in_a_file_plays_as_the_registered_one(options, tmp_path):
    scenario = SCENARIO.with_options(jobs=30, load=0.9, **options)
    played = completions(SJF, tmp_path, scenario=scenario, episodes=2)
    assert np.array_equal(played, registered("sjf", scenario=scenario, episodes=2))


def test_an_observation_holds_beliefs_in_cycles(tmp_path):
    source = """
import numpy as np

def choose(observation, mask):
    assert sorted(observation) == ["accelerators", "latencies", "prices", "remaining", "up", "waited"]
    jobs, choices = observation["latencies"].shape
    assert choices == 9 and observation["waited"].shape == (jobs,) and (observation["waited"] >= 0).all()
    assert observation["accelerators"].tolist() == [0, 0, 1, 1, 2, 3, 3, 3, 3]
    assert observation["remaining"].shape == observation["prices"].shape == (4,) and observation["up"].all()
    assert mask.dtype == bool and not mask[jobs * choices : -1].any()
    idle = observation["remaining"] == 0
    assert (mask[: jobs * choices].reshape(jobs, choices) == idle[observation["accelerators"]]).all()
    return int(mask.argmax())
"""
    assert np.array_equal(completions(source, tmp_path), completions(FIRST, tmp_path))


def test_intervals_are_shown_where_the_scenario_shows_them(tmp_path):
    source = """
def choose(observation, mask):
    low, high = observation["latencies_low"], observation["latencies_high"]
    assert low.shape == high.shape == observation["latencies"].shape
    assert (0 < low).all() and (low <= high).all() and (low < high).any()
    return int(mask.argmax())
"""
    shown = SCENARIO.with_options(intervals=0.9)
    assert np.array_equal(completions(source, tmp_path, scenario=shown), completions(FIRST, tmp_path, scenario=shown))
    with pytest.raises(GnnSchedError, match="raised KeyError: 'latencies_low'"):
        completions(source, tmp_path)


CHEATS = {
    "reads a table": "open('{package}/predictors/data/synthetic.npz', 'rb')",
    "reads another file": "open('/etc/passwd')",
    "reads the parent's memory": "open('/proc/%d/mem' % __import__('os').getppid(), 'rb')",
    "imports the simulator": "import gnnsched_env",
    "imports it by its path": "import sys; sys.path.insert(0, '{parent}'); import gnnsched_env.sim",
    "starts a program": "import subprocess; subprocess.run(['true'])",
    "starts one below subprocess": "import _posixsubprocess",
    "runs a shell": "import os; os.system('true')",
    "forks": "import os; os.fork()",
    "kills its parent": "import os; os.kill(os.getppid(), 9)",
    "opens a socket": "import socket; socket.socket()",
    "calls C": "import ctypes; ctypes.CDLL(None)",
    "calls C by what is loaded": "import sys; sys.modules['ctypes'].pythonapi.Py_Exit",
    "looks for objects": "import gc; gc.get_objects()",
    "looks at frames": "try: 1 / 0\nexcept Exception as error: error.__traceback__.tb_frame",
    "patches the guard's names": "import sys, builtins, os; main = sys.modules['__main__']; main.CONSTANTS.clear(); "
    "main.guard.__code__ = (lambda *a: None).__code__; builtins.type = lambda value: int; os.fork()",
    "opens by a string that lies": "open(type('S', (str,), {'startswith': lambda *a: True})('/etc/passwd'))",
    "opens by a way round": "import sys; open(sys.path[-1] + '/../../../../../../../etc/passwd')",
    "writes a file": "open('/tmp/gnnsched_arena', 'w')",
    "writes by os.open": "import os; os.open('/tmp/gnnsched_arena', os.O_CREAT | os.O_WRONLY)",
    "lists folders": "import os; os.listdir('/')",
    "lifts its limits": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))",
}


def test_a_policy_cannot_reach_beyond_its_observations(tmp_path):
    """One process tries every way to cheat; what is refused raises there, and the names of the others are told."""
    import gnnsched_env

    package = gnnsched_env.__path__[0]
    ways = {
        name: body.replace("{package}", package).replace("{parent}", str(tmp_path.parent)).replace("; ", "\n")
        for name, body in CHEATS.items()
    }
    source = f"""
def choose(observation, mask):
    let_through = []
    for name, body in {ways!r}.items():
        try:
            exec(body, {{}})
        except PermissionError as error:
            assert "is not allowed" in str(error), name
        except ModuleNotFoundError:
            assert name == "imports it by its path", name
        else:
            let_through.append(name)
    raise ValueError(let_through)
"""
    with pytest.raises(GnnSchedError, match=r"raised ValueError: \[\] \(line"):
        completions(source, tmp_path)


def test_what_is_refused_is_told_with_its_line(tmp_path):
    source = "def choose(observation, mask):\n    open('/etc/passwd')\n"
    with pytest.raises(GnnSchedError, match=r"raised PermissionError: open of /etc/passwd is not allowed \(line"):
        completions(source, tmp_path)


HARMLESS = {
    "keeps what it has seen": "global seen; seen = globals().get('seen', 0) + 1; observation['latencies'][:] = 1.0",
    "prints": "print('x' * 100_000); import sys; sys.stderr.write('y')",
    "starts a thread": "import threading; threading.Thread(target=print).start()",
    "imports a library": "import fractions, statistics, heapq",
    "measures the time": "import time; time.perf_counter()",
}


@pytest.mark.parametrize("trick", HARMLESS)
def test_what_a_policy_does_to_itself_has_no_effect(trick, tmp_path, capfd):
    lines = "\n    ".join(HARMLESS[trick].split("; "))
    source = f"def choose(observation, mask):\n    {lines}\n    return int(mask.argmax())\n"
    assert np.array_equal(completions(source, tmp_path), completions(FIRST, tmp_path))
    assert capfd.readouterr() == ("", "")


def test_results_do_not_depend_on_what_earlier_episodes_left(tmp_path):
    source = """
count = 0

def choose(observation, mask):
    global count
    count += 1
    return int(mask.argmax()) if count < 8 else int(len(mask) - 1 - mask[::-1].argmax())
"""
    together = completions(source, tmp_path, episodes=3)
    assert np.array_equal(together[:1], completions(source, tmp_path))
    assert np.array_equal(completions(source, tmp_path, episodes=3), together)


def test_sets_have_the_same_order_in_every_process(tmp_path):
    """Python salts the hashes of strings, so a policy that goes through a set would play another game each time."""
    source = "def choose(observation, mask):\n    raise ValueError(hash('gnnsched'))\n"
    told = set()
    for _ in range(2):
        with pytest.raises(GnnSchedError, match=r"raised ValueError: -?[0-9]+ ") as caught:
            completions(source, tmp_path)
        told.add(str(caught.value))
    assert len(told) == 1


FAULTS = {
    "raises": ("def choose(o, m):\n    raise ValueError('no idea')", r"raised ValueError: no idea \(line 2\)"),
    "does not compile": ("def choose(o, m:\n", r"raised SyntaxError.*line 1"),
    "lacks choose": ("x = 1", r"must define a function choose\(observation, mask\)"),
    "returns nan": ("def choose(o, m):\n    return float('nan')", r"must return an integer.*got nan"),
    "returns nothing": ("def choose(o, m):\n    pass", r"must return an integer.*got None"),
    "returns a huge number": ("def choose(o, m):\n    return 10 ** 30", r"must return an integer"),
    "chooses what is not legal": (
        "def choose(o, m):\n    return int(m.argmin())",
        r"must return a legal action.*got \d+",
    ),
    "chooses what does not exist": ("def choose(o, m):\n    return -1", r"must return a legal action.*got -1"),
    "hangs": ("def choose(o, m):\n    while True: pass", r"must take at most 0\.5 s for a decision"),
    "takes all memory": ("def choose(o, m):\n    return len(bytearray(1 << 32))", r"used more memory than is allowed"),
    "ends": ("import os\ndef choose(o, m):\n    os._exit(3)", r"its process ended with status 3"),
    "leaves": ("def choose(o, m):\n    raise SystemExit(0)", r"raised SystemExit"),
    "answers by itself": ("import os\ndef choose(o, m):\n    os.write(4, b'AAAAAAAAAAAAA')\n    return 0", r"must"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_the_policys_name(fault, tmp_path):
    source, message = FAULTS[fault]
    with pytest.raises(GnnSchedError, match=f"^policy file:.*mine.py: (choose )?{message}"):
        completions(source, tmp_path, decision_s=0.5, memory=1024)


def test_bad_limits_and_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        policy_factory("file:nowhere.py", dispatch=False)
    with pytest.raises(ConfigError, match="made for queue"):
        policy_factory(f"file:{__file__}", dispatch=True)
    with pytest.raises(ConfigError, match="memory must be an integer of at least 256"):
        completions(FIRST, tmp_path, memory=1)
