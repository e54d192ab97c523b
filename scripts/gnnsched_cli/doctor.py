"""Say what is installed, whether it works, and how to mend what does not.

Example:
    gnnsched doctor --compile
"""

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from gnnsched_cli.command import OutFile

CORE = ("gymnasium", "numpy", "scipy", "numba", "networkx", "scikit-learn", "lightgbm", "rich", "tyro", "platformdirs")
# Of each extra, what its packages are called where they are imported.
EXTRAS = {
    "agents": ("torch", "stable_baselines3", "sb3_contrib", "tensorboard"),
    "gnn": ("torch", "torch_geometric"),
    "live": ("ray", "torch"),
    "plots": ("matplotlib",),
    "report": ("bokeh",),
    "data": ("minari", "h5py"),
    "render": ("pygame", "moviepy"),
    "bounds": ("ortools",),
    "ogb": ("ogb",),
    "ray": ("ray",),
    "docs": ("mkdocs", "material", "mkdocstrings"),
    "notebooks": ("ipykernel", "jupytext", "matplotlib", "nbconvert"),
}
GOOD, OPTIONAL, BAD = "ok", "--", "!!"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Say what is installed, whether it works, and how to mend what does not."""

    compile: bool = False
    """Compile every kernel that is not compiled yet, so that no later command has to; takes about a minute."""
    json: OutFile | None = None
    """JSON file to write the findings to."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report: what was looked at, its state (GOOD, OPTIONAL or BAD), and how to mend it."""

    part: str
    name: str
    state: str
    found: str
    mend: str = ""


def run(arguments: Arguments) -> int:
    """Print the findings; return 0 where the core works, 1 where it does not."""
    if arguments.compile:
        compile_kernels()
    findings = [*versions(), *folders(), *kernels(), *extras()]
    broken = [finding.name for finding in findings if finding.state == BAD]
    if arguments.json is not None:
        from gnnsched_env.evaluation import write_json

        write_json(arguments.json, {"working": not broken, "findings": [asdict(finding) for finding in findings]})
    width = max(len(finding.name) for finding in findings)
    part = ""
    for finding in findings:
        if finding.part != part:
            part = finding.part
            print(part)
        hint = f"  ({finding.mend})" if finding.mend else ""
        print(f"  {finding.state}  {finding.name:<{width}}  {finding.found}{hint}")
    print(f"Not working: {', '.join(broken)}." if broken else "Everything that is needed works.")
    return 1 if broken else 0


def versions() -> Iterator[Finding]:
    """Yield the version of Python, of this package and of each package that it cannot do without."""
    from gnnsched_env.version import __version__

    part = "Versions"
    yield Finding(part=part, name="python", state=GOOD, found=f"{platform.python_version()}, {sys.executable}")
    yield Finding(part=part, name="gnnsched-env", state=GOOD, found=__version__)
    for name in CORE:
        try:
            yield Finding(part=part, name=name, state=GOOD, found=metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(part=part, name=name, state=BAD, found="not installed", mend=f"pip install {name}")


def folders() -> Iterator[Finding]:
    """Yield the folder that caches tables and kernels: where it is, whether it can be written, and its size."""
    from gnnsched_env.common.disk_cache import CACHE_VARIABLE, cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        mend = f"set {CACHE_VARIABLE} to a folder that can be written; without one, each process computes anew"
        yield Finding(part="Cache", name="folder", state=OPTIONAL, found=f"{folder}: {error.strerror}", mend=mend)
    else:
        yield Finding(part="Cache", name="folder", state=GOOD, found=f"{folder}, {size / 1e6:.1f} MB")


def kernels() -> Iterator[Finding]:
    """Yield whether the kernels that take long to compile are compiled for this processor."""
    try:
        from gnnsched_baselines.learned import pair_kernels
        from gnnsched_env.bounds import bound_kernels
        from gnnsched_env.common.compiled import is_compiled
        from gnnsched_env.cycles import tilings
        from gnnsched_env.sim import transition

        known = {
            "simulator": transition.reset,
            "cost model": tilings.compile_tables,
            "trained policies": pair_kernels.decide_beliefs,
            "lower bound": bound_kernels.cheapest,
            "local search": bound_kernels.anneal,
        }
        found = {name: is_compiled(kernel) for name, kernel in known.items()}
    except ImportError as error:
        yield Finding(part="Kernels", name="numba", state=BAD, found=str(error), mend="pip install --upgrade numba")
        return
    for name, compiled in found.items():
        mend = "" if compiled else "compiled when first used, or now by: gnnsched doctor --compile"
        state = GOOD if compiled else OPTIONAL
        yield Finding(part="Kernels", name=name, state=state, found="compiled" if compiled else "not yet", mend=mend)


def extras() -> Iterator[Finding]:
    """Yield which extras are installed, and how to install those that are not."""
    from importlib.util import find_spec

    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if find_spec(name) is None]
        found = f"without {', '.join(missing)}" if missing else "installed"
        mend = f"pip install 'gnnsched-env[{extra}]'" if missing else ""
        yield Finding(part="Extras", name=extra, state=OPTIONAL if missing else GOOD, found=found, mend=mend)


def compile_kernels() -> None:
    """Use each kernel once on something small, which compiles what is not compiled yet."""
    import gymnasium

    from gnnsched_baselines import make_policy
    from gnnsched_env.bounds import improve, lower_bound
    from gnnsched_env.evaluation.optimality.distances import draw_instances
    from gnnsched_env.hardware import load_fleet
    from gnnsched_env.scenario import load_scenario, scenario_table
    from gnnsched_env.tables import distinct_pairs, pair_cycles
    from gnnsched_env.workload import synthetic_classes

    pair_cycles(synthetic_classes(4), distinct_pairs(load_fleet("hetero4")).pairs)
    envs: Any = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=1, jobs=3)
    observation, info = envs.reset(seed=0)
    policy = make_policy("agent:queue_hetero4", envs.unwrapped.layout, table=envs.unwrapped.table)
    envs.step(policy.act(observation, info["action_mask"].astype(bool)))
    scenario = load_scenario("hetero4").with_options(jobs=3)
    instance = next(iter(draw_instances(scenario, scenario_table(scenario), seed=0, episodes=1)))
    lower_bound(instance, rounds=1)
    improve(instance, moves=1)
