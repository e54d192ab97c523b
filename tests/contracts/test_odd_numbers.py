"""Every public function that takes numbers is called with odd ones: refused, or taken for what they are."""

import enum
import importlib
import inspect
import pkgutil
import typing

import numpy as np
import pytest

import gnnsched_baselines
import gnnsched_env
from gnnsched_env.evaluation.policies import PLANNERS, POLICIES
from gnnsched_env.graphs.generators import erdos_renyi_graph
from gnnsched_env.hardware import make_model
from tests.contracts.number_examples import ALLOWED, EXAMPLES, LEFT_OUT, TAKES
from tests.contracts.odd_numbers import NUMBERS, alike, odd_arrays, outcome

ROOTS = (gnnsched_env, gnnsched_baselines)
ARRAY_WORDS = ("ndarray", "_SupportsArray", "Sequence[int", "tuple[int", "tuple[float", "tuple[tuple[float")


def public_functions():
    """Yield (name, function) of all that packages declare in `__all__`: functions, constructors, public methods."""
    seen = set()
    for root in ROOTS:
        packages = [root.__name__, *(f"{root.__name__}.{name}" for name in _packages(root))]
        for package in packages:
            module = importlib.import_module(package)
            for name in getattr(module, "__all__", ()):
                thing = getattr(module, name)
                if id(thing) not in seen and callable(thing):
                    seen.add(id(thing))
                    short = f"{package}.{name}".removeprefix("gnnsched_env.").removeprefix("gnnsched_")
                    yield from _callables(short, thing)
    for policy in (POLICIES | PLANNERS).values():
        yield f"baselines.{policy.__name__}", policy


def _packages(root):
    return [
        found.name.removeprefix(f"{root.__name__}.")
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        if found.ispkg
    ]


def _callables(name, thing):
    if not inspect.isclass(thing):
        yield name, thing
        return
    if issubclass(thing, BaseException | enum.Enum) or getattr(thing, "_is_protocol", False):
        return
    yield name, thing
    for method, found in vars(thing).items():
        if (not method.startswith("_") or method in ("__getitem__", "__call__")) and (
            inspect.isfunction(found) or isinstance(found, classmethod | staticmethod)
        ):
            yield f"{name}.{method}", getattr(thing, method)


def numeric_parameters(name, function):
    """Return the kind ("integer", "number" or "array") of each parameter that takes numbers."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (NameError, ValueError, TypeError):  # an annotation that is only there for type checkers; a type's alias
        return {}
    found = {entry.name: _kind(entry.annotation) for entry in parameters}
    return {key: kind for key, kind in (found | TAKES.get(name, {})).items() if kind is not None and key != "self"}


def _kind(annotation):
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if any(word in str(annotation) for word in ARRAY_WORDS):
        return "array"
    kinds = typing.get_args(annotation) or (annotation,)
    return "integer" if int in kinds else "number" if float in kinds else None


FUNCTIONS = dict(public_functions())


def test_every_public_function_that_takes_numbers_is_called():
    known = {name for name, function in FUNCTIONS.items() if numeric_parameters(name, function)}
    listed = set(EXAMPLES) | set(LEFT_OUT)
    assert known - listed == set(), "give each an example, or say why it is left out"
    assert listed - set(FUNCTIONS) == set(), "these are no longer public"
    assert set(EXAMPLES) & set(LEFT_OUT) == set()


def complaints(name, odd_names=None):
    """Return what is wrong with how a function takes odd numbers, a line each; by default all odd numbers."""
    function, example = FUNCTIONS[name], EXAMPLES[name]
    told = []
    for parameter, kind in numeric_parameters(name, function).items():
        if kind == "array":
            told += _array_complaints(name, function, example, parameter, odd_names)
            continue
        optional = inspect.signature(function).parameters[parameter].default is None
        for odd in NUMBERS:
            if (odd_names is not None and odd.name not in odd_names) or (odd.value is None and optional):
                continue
            ends, result = outcome(function, example() | {parameter: odd.value})
            what = f"{name}({parameter}={odd.name})"
            plain = odd.integer if kind == "integer" else odd.number if odd.number is not None else odd.integer
            if ends == "fault":
                told.append(f"{what} raised {type(result).__name__}: {result}")
            elif ends == "refused" or odd.name in ALLOWED.get(f"{name}.{parameter}", ()):
                continue
            elif plain is None:
                told.append(f"{what} was taken")
            elif type(odd.value) is not type(plain):
                expected = outcome(function, example() | {parameter: plain})
                if expected[0] != "result" or not alike(result, expected[1]):
                    told.append(f"{what} was not taken for {plain}")
    return told


def _array_complaints(name, function, example, parameter, odd_names):
    given, told = example().get(parameter), []
    if given is None:
        return []
    expected = function(**example())
    for odd, array, verdict in odd_arrays(given):
        if odd_names is not None and odd not in odd_names:
            continue
        ends, result = outcome(function, example() | {parameter: array})
        what = f"{name}({parameter}: {odd})"
        if ends == "fault":
            told.append(f"{what} raised {type(result).__name__}: {result}")
        elif odd in ALLOWED.get(f"{name}.{parameter}", ()) or verdict == "any":
            continue
        elif ends == "refused" and verdict == "same" and isinstance(given, np.ndarray):
            told.append(f"{what} was refused: {result}")
        elif ends == "result" and verdict == "refused":
            told.append(f"{what} was taken")
        elif ends == "result" and not alike(result, expected):
            told.append(f"{what} made a difference")
    return told


QUICK = ("2.5", "True", "text", "2^63", "10^400", "int8", "uint64", "fractions", "masked", "ragged", "object")
BIG = ("evaluation.", "scenario.varied", "bounds.optimum", "predictors.", "graphs.generators.graphlaxy", "baselines.")


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLES if not name.startswith(BIG)))
def test_some_odd_numbers_are_refused_or_understood(name):
    assert complaints(name, QUICK) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_odd_numbers_are_refused_or_understood(name):
    assert complaints(name) == []


def test_numpys_small_integers_do_not_wrap():
    for vertices in (100, np.int8(100)):
        drawn = erdos_renyi_graph(np.random.default_rng(0), vertices, mean_degree=3)
        assert drawn.num_edges > 100
    assert make_model("sage", np.uint8(200), 2).layers[0].combination_features == 400
