"""Tile expressions: `min(F, P // 8)` and the like, over integers, evaluated without `eval`.

Allowed: integers, the names given by the caller, `+ - * //`, `min`, `max` and parentheses. A division floors and is at
least 1, as in OMEGA's evaluation, where a tile never vanishes.
"""

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache

from gnnsched_env.common.errors import ConfigError

LONGEST_EXPRESSION = 200
NAMES = ("F", "G", "P", "f", "g")

Evaluator = Callable[[Mapping[str, int]], int]


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """Return the expression's value; raise ConfigError for a name without a value (such as f within f)."""
    try:
        return _compiled(text)(names)
    except KeyError as missing:
        raise ConfigError(f"tile expression {text!r}: name {missing.args[0]!r} is not defined here") from None


def check_expression(text: object) -> str:
    """Return the expression in canonical spelling; raise ConfigError, naming any part that is not allowed."""
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str) or len(text) > LONGEST_EXPRESSION:
        raise ConfigError(
            f"a tile expression must be an integer or a string of at most {LONGEST_EXPRESSION} characters, got {text!r}"
        )
    canonical = ast.unparse(_tree(text))
    _compiled(canonical)
    return canonical


def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"tile expression {text!r} is not an expression: {error}") from None


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Evaluator:
    return _compile(_tree(text), text)


def _compile(node: ast.expr, text: str) -> Evaluator:
    """Turn the syntax tree into nested closures; raise ConfigError for any syntax not handled here."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return lambda names: value
        case ast.Name(id=name) if name in NAMES:
            return lambda names: names[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _compile_operation(op, _compile(left, text), _compile(right, text), text)
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=[_, _, *_] as arguments, keywords=[]):
            parts = [_compile(argument, text) for argument in arguments]
            chosen = min if name == "min" else max
            return lambda names: chosen(part(names) for part in parts)
    raise ConfigError(
        f"tile expression {text!r}: {ast.unparse(node)!r} is not allowed; use integers, {', '.join(NAMES)}, "
        "+ - * //, min(...) and max(...)"
    )


def _compile_operation(op: ast.operator, left: Evaluator, right: Evaluator, text: str) -> Evaluator:
    match op:
        case ast.Add():
            return lambda names: left(names) + right(names)
        case ast.Sub():
            return lambda names: left(names) - right(names)
        case ast.Mult():
            return lambda names: left(names) * right(names)
        case ast.FloorDiv():
            return lambda names: _divide(left(names), right(names), text)
        case ast.Div():
            raise ConfigError(f"tile expression {text!r}: '/' is not allowed, write '//' (divisions floor, at least 1)")
    raise ConfigError(f"tile expression {text!r}: only + - * // are allowed, got {type(op).__name__}")


def _divide(numerator: int, denominator: int, text: str) -> int:
    if denominator < 1:
        raise ConfigError(f"tile expression {text!r}: a divisor must be at least 1, got {denominator}")
    return max(1, numerator // denominator)
