"""Options that name policies, as several subcommands take them."""

from typing import Annotated

import tyro

FORMS = (
    "a baseline; agent:NAME or agent:FILE.npz, a trained one (lookahead:NAME or lookahead:FILE.npz: looking ahead); "
    "sb3:FILE.zip, a model of Stable-Baselines3 that `gnnsched train` wrote; file:POLICY.py, a function "
    "choose(observation, mask); or module:Class, one of your own"
)
HELP = (
    'Policies, or "all" baselines but planners and skip_predict (`gnnsched evaluate --list` lists them). '
    f"One is {FORMS}."
)
Policies = Annotated[tuple[str, ...], tyro.conf.arg(help=HELP)]
Policy = Annotated[str, tyro.conf.arg(help=f"The policy (`gnnsched evaluate --list` lists them): {FORMS}.")]


def register_policies() -> None:
    """Import the packages that register policies by name."""
    import gnnsched_agents  # noqa: F401
    import gnnsched_baselines  # noqa: F401
    import gnnsched_env.bench.arena.file_policy  # noqa: F401


def list_policies() -> None:
    """Print every policy that is registered: its name, what it knows, where it plays, and what it does."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from gnnsched_env.evaluation.policies import FAMILIES, PLANNERS, POLICIES
    from gnnsched_env.report.table_width import table_width

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("policy", "knows", "plays"):
        table.add_column(name, no_wrap=True)
    table.add_column("what it does")
    for name, kind in {**POLICIES, **PLANNERS}.items():
        plans = " It takes milliseconds a decision." if name in PLANNERS else ""
        table.add_row(name, kind.knowledge, _where(kind.environments), f"{_first_sentence(kind)}{plans}")
    for _, family in sorted(FAMILIES.items()):
        names = ", ".join(name.removeprefix(family.prefix) for name in family.shipped)
        meaning = f"{family.meaning} NAME is one of {names}." if names else family.meaning
        table.add_row("\n".join(family.forms), family.knowledge, _where(family.environments), meaning)
    table.add_row("module:Class", "", "", "A policy of yours: any class with `knowledge` and `act`.")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = table_width(table)
    console.print(table)


def _where(environments: frozenset[str]) -> str:
    return "both" if len(environments) > 1 else "".join(environments)


def _first_sentence(kind: type) -> str:
    """Return the first sentence of a class's docstring."""
    text = " ".join((kind.__doc__ or "").split())
    return text.split(". ")[0].rstrip(".") + "."
