"""gnnsched-bench: frozen tasks to compete on, scores with intervals, results that can be checked, and the arena."""

from gnnsched_env.bench.arena.arena import ArenaResult, enter_arena, score_file
from gnnsched_env.bench.arena.file_policy import FilePolicy
from gnnsched_env.bench.play import Played, play, suite_score
from gnnsched_env.bench.results import Result, play_again, read_results, run_suite, write_results
from gnnsched_env.bench.tasks import SUITES, Task, bench_tasks

__all__ = [
    "SUITES",
    "ArenaResult",
    "FilePolicy",
    "Played",
    "Result",
    "Task",
    "bench_tasks",
    "enter_arena",
    "play",
    "play_again",
    "read_results",
    "run_suite",
    "score_file",
    "suite_score",
    "write_results",
]
