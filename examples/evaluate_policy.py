"""Score a policy's file, as programs that write programs ask for it: a path in, numbers out.

    python examples/evaluate_policy.py my_policy.py

OpenEvolve calls `evaluate(program_path)` of the file that it is given as evaluator and maximises "combined_score"; GEPA
and others take the number that `fitness` returns. The policy's file defines `choose(observation, mask)`
(docs/how-to/write_a_policy.md) and runs in processes of its own, so what a program writes cannot harm the search.
"""

import sys

import gnnsched_baselines  # noqa: F401  (registers the reference)
from gnnsched_env.bench import score_file
from gnnsched_env.common.errors import GnnSchedError

SEARCH_SEEDS = (11, 12, 13)  # the same episodes for every candidate; keep others for the winner


def evaluate(program_path: str) -> dict[str, float | str]:
    """Return {"combined_score": ..., "score": ...}, the larger the better and the smaller the better.

    A policy that fails scores -1000, and "error" says why, so that the next program can do better.
    """
    try:
        scores = [score_file(program_path, seed=seed)["score"] for seed in SEARCH_SEEDS]
    except GnnSchedError as error:
        return {"combined_score": -1000.0, "error": str(error)}
    mean = sum(scores) / len(scores)
    return {"combined_score": -mean, "score": mean}


def fitness(program_path: str) -> float:
    """Return the number to be maximised."""
    return float(evaluate(program_path)["combined_score"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/evaluate_policy.py POLICY.py")
    print(evaluate(sys.argv[1]))
