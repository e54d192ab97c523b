"""Time the environments against CartPole in the same run, on one core.

    python -m benchmarks.envs

A batch step is one call of `step` of the vector environment that `gymnasium.make_vec` gives, default observation and
mask included, actions prepared beforehand: "uniform" draws them from all of the action space (most are illegal and
wait, so that the window is soon full: the most to write), "legal" from the legal ones, "sjf" is the policy's. Legal and
sjf actions were recorded in the same episodes before. Figures are medians of repeated runs of the same steps from a
reset; ratios are to CartPole-v1 in the same run.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

import gnnsched_env  # noqa: F401 (registers the environments)
from benchmarks.cycles import pin_to_one_core
from gnnsched_baselines import make_policy

QUEUE = "gnnsched/Queue-v0"
DISPATCH = "gnnsched/Dispatch-v0"
STEPS = 200
WARM_UP = 100  # steps before those that are timed: windows fill
SINGLE_STEPS = 3_000

Actions = list[NDArray[np.int64]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1, help="more than one: not pinned to a core")
    arguments = parser.parse_args()
    if arguments.threads == 1:
        pin_to_one_core()
    _print_single(arguments.repeats)
    cartpole = _cartpole_batch(1024, arguments.repeats)
    _print_batch(cartpole, arguments)
    _print_parts(arguments.repeats)
    _print_curves(arguments)
    _print_resets(arguments.repeats)


def _print_single(repeats: int) -> None:
    print("## One environment, through gymnasium.make\n")
    print("| environment | steps/s | ratio to CartPole-v1 |")
    print("|---|---|---|")
    cartpole = gymnasium.make("CartPole-v1")
    reference = _single_speed(cartpole, [k & 1 for k in range(SINGLE_STEPS)], repeats)
    print(f"| CartPole-v1 | {reference:,.0f} | 1.00 |")
    for name in (QUEUE, DISPATCH):
        env = gymnasium.make(name, jobs=2 * SINGLE_STEPS)
        speed = _single_speed(env, _legal_actions(env, SINGLE_STEPS), repeats)
        print(f"| {name}, random legal actions | {speed:,.0f} | {speed / reference:.2f} |")


def _single_speed(env: gymnasium.Env[Any, Any], actions: list[int], repeats: int) -> float:
    def play() -> None:
        for action in actions:
            _, _, ended, truncated, _ = env.step(action)
            if ended or truncated:
                env.reset()

    return len(actions) / _median(play, lambda: env.reset(seed=0), repeats)


def _legal_actions(env: gymnasium.Env[Any, Any], count: int) -> list[int]:
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)
    actions = []
    for _ in range(count):
        actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
        *_, info = env.step(actions[-1])
    return actions


def _cartpole_batch(lanes: int, repeats: int) -> float:
    """Return steps a second of Gymnasium's native CartPole batch."""
    env = gymnasium.make_vec("CartPole-v1", num_envs=lanes, vectorization_mode="vector_entry_point")
    actions = list(np.random.default_rng(0).integers(0, 2, (STEPS, lanes)))
    return lanes * STEPS / _median(lambda: _play(env, actions), lambda: env.reset(seed=0), repeats)


def _print_batch(cartpole: float, arguments: argparse.Namespace) -> None:
    print(f"\n## 1024 lanes, window 32, hetero4, threads {arguments.threads}\n")
    bound = _write_bound(1024, arguments.repeats)
    print("| batch | steps/s | ratio to CartPole's native batch | share of the write bound |")
    print("|---|---|---|---|")
    print(f"| CartPole-v1, native | {cartpole:,.0f} | 1.00 | |")
    print(f"| write bound: filling observations and mask | {bound:,.0f} | {bound / cartpole:.2f} | 1.00 |")
    for name in (QUEUE, DISPATCH):
        for kind in ("uniform", "legal", "sjf"):
            speed = _speed(name, kind, arguments, num_envs=1024)
            share = f"{speed / bound:.2f}" if name == QUEUE else ""
            print(f"| {name}, {kind} | {speed:,.0f} | {speed / cartpole:.2f} | {share} |")


def _speed(name: str, kind: str, arguments: argparse.Namespace, **options: Any) -> float:
    """Return steps a second of a native batch."""
    env = gymnasium.make_vec(name, threads=arguments.threads, copy=False, **options)
    warm_up, actions = _recorded(env, kind)
    seconds = _median(lambda: _play(env, actions), lambda: _start(env, warm_up), arguments.repeats)
    return env.num_envs * len(actions) / seconds


def _recorded(env: Any, kind: str) -> tuple[Actions, Actions]:
    """Return the actions of the warm-up and those to be timed."""
    rng = np.random.default_rng(0)
    policy: Any = make_policy("sjf", env.layout, table=env.table)
    observation, infos = env.reset(seed=0)
    actions: Actions = []
    for _ in range(WARM_UP + STEPS):
        mask = infos["action_mask"].view(np.bool_)
        if kind == "uniform":
            chosen = rng.integers(env.layout.num_actions, size=env.num_envs)
        elif kind == "legal":
            chosen = np.where(mask, rng.random(mask.shape, dtype=np.float32), -1.0).argmax(axis=1)
        else:
            chosen = policy.act(observation, mask)
        actions.append(np.ascontiguousarray(chosen, np.int64))
        observation, *_, infos = env.step(actions[-1])
    return actions[:WARM_UP], actions[WARM_UP:]


def _start(env: Any, warm_up: Actions) -> None:
    env.reset(seed=0)
    _play(env, warm_up)


def _play(env: Any, actions: Actions) -> None:
    for chosen in actions:
        env.step(chosen)


def _write_bound(lanes: int, repeats: int) -> float:
    """Return the lanes a second that can be filled: the arrays of an observation and the mask, nothing computed."""
    env: Any = gymnasium.make_vec(QUEUE, num_envs=lanes, copy=False)
    arrays = [np.zeros_like(array) for array in env.batch.observation.values()] + [np.zeros_like(env.batch.mask)]

    def fill() -> None:
        for _ in range(STEPS):
            for array in arrays:
                array.fill(1)

    return lanes * STEPS / _median(fill, lambda: None, repeats)


def _print_parts(repeats: int) -> None:
    print("\n## Where the time goes: nanoseconds a lane and step, 1024 lanes, uniform actions\n")
    env: Any = gymnasium.make_vec(QUEUE, num_envs=1024, copy=False)
    warm_up, actions = _recorded(env, "uniform")
    batch = env.batch

    def simulate() -> None:
        for chosen in actions:
            batch.simulation.step(chosen)

    def encode() -> None:
        for _ in actions:
            batch.encode()

    def both() -> None:
        for chosen in actions:
            batch.step(chosen)

    def start() -> None:
        _start(env, warm_up)

    parts = {
        "all of VectorEnv.step": lambda: _play(env, actions),
        "transition, observation and mask (compiled)": both,
        "the transition alone": simulate,
        "observation and mask alone, nothing having changed": encode,
    }
    print("| part | ns |")
    print("|---|---|")
    for name, part in parts.items():
        print(f"| {name} | {1e9 * _median(part, start, repeats) / (1024 * len(actions)):.0f} |")


def _print_curves(arguments: argparse.Namespace) -> None:
    print("\n## Steps a second by size, uniform actions\n")
    print("| lanes | window | fleet | choices | steps/s | MiB observed |")
    print("|---|---|---|---|---|---|")
    sizes: list[dict[str, Any]] = [{"num_envs": lanes} for lanes in (1, 16, 64, 256, 1024, 4096)]
    sizes += [{"num_envs": 1024, "window": window} for window in (8, 16, 64)]
    sizes += [{"num_envs": 1024, "scenario": fleet} for fleet in ("flexible4", "big_little")]
    for size in sizes:
        env: Any = gymnasium.make_vec(QUEUE, copy=False, **size)
        written = sum(array.nbytes for array in env.batch.observation.values()) + env.batch.mask.nbytes
        speed = _speed(QUEUE, "uniform", arguments, **size)
        layout = env.layout
        print(
            f"| {size['num_envs']} | {layout.window} | {size.get('scenario', 'hetero4')} | {layout.num_choices} "
            f"| {speed:,.0f} | {written / 2**20:.1f} |"
        )


def _print_resets(repeats: int) -> None:
    print("\n## Resets and memory, 1024 lanes of 1,000 jobs\n")
    env: Any = gymnasium.make_vec(QUEUE, num_envs=1024, copy=False)
    simulation = env.batch.simulation
    held = sum(array.nbytes for array in simulation.state)
    seen = sum(array.nbytes for array in env.batch.observation.values()) + env.batch.mask.nbytes
    seconds = _median(lambda: env.reset(seed=0), lambda: None, repeats)
    cartpole = gymnasium.make_vec("CartPole-v1", num_envs=1024, vectorization_mode="vector_entry_point")
    reference = _median(lambda: cartpole.reset(seed=0), lambda: None, repeats)
    print(
        f"reset: {1e3 * seconds:.1f} ms, {1e6 * seconds / 1024:.1f} us a lane (all its jobs are drawn then); ", end=""
    )
    print(f"CartPole's native batch {1e3 * reference:.2f} ms")
    print(f"memory: {held / 1024**2:.0f} KiB a lane (jobs and queue), {seen / 1024**2:.1f} KiB of it observed")


def _median(part: Callable[[], Any], start: Callable[[], Any], repeats: int) -> float:
    """Return the median seconds of a part, each time after `start`, which is not timed."""
    seconds = []
    for _ in range(repeats + 1):
        start()
        begin = time.perf_counter()
        part()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
