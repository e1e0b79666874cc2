"""What an architecture takes, read from its file: to import it would take TensorFlow's seconds."""

import ast
import inspect
from functools import cache, partial
from pathlib import Path

NETWORKS = Path(__file__).parents[1] / "networks"
SHARED = "parts"  # what several architectures are put together from
EMPTY = inspect.Parameter.empty


def list_architectures() -> list[str]:
    """Give the names of all architectures, sorted."""
    return sorted(file.stem for file in NETWORKS.glob("[a-z]*.py") if file.stem != SHARED)


@cache
def read_signature(architecture: str, function: str) -> inspect.Signature:
    """Give the signature of `frozen` or `trainable` of an architecture; every default is None.

    Raises
    ------
    ValueError
        If the file is no Python, or has no such function that can be read: one written there, or
        one of `lesions.networks.parts`, also with some of its arguments given by `partial`.
    """
    found, given = _find(_parse(architecture), function)
    if isinstance(found, str):
        found, more = _find(_parse(SHARED), found)
        given = [*more, *given]
    if not isinstance(found, ast.FunctionDef):
        raise ValueError(
            f"src/lesions/networks/{architecture}.py must define {function}(), or take it from "
            f"lesions.networks.{SHARED}, also with functools.partial; see lesions.networks"
        )

    def taken():
        """Stand for the function: `inspect` and `partial` look at its signature alone."""

    taken.__signature__ = _signature(found.args)
    for call in given:
        keywords = {word.arg: None for word in call.keywords}
        taken = partial(taken, *(None for _ in call.args[1:]), **keywords)
    return inspect.signature(taken)


def _parse(name) -> ast.Module:
    try:
        return ast.parse((NETWORKS / f"{name}.py").read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"src/lesions/networks/{name}.py must be Python; {error}") from error


def _find(tree, name) -> tuple[ast.FunctionDef | str | None, list[ast.Call]]:
    """Give the function that a module calls so, or its name elsewhere; and the calls of partial."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node, []
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return alias.name, []
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            value, given = node.value, []
            while isinstance(value, ast.Call) and ast.unparse(value.func).endswith("partial"):
                given = [value, *given]
                value = value.args[0]
            if not isinstance(value, ast.Name):
                return None, []
            found, more = _find(tree, value.id)
            return found, [*more, *given]
    return None, []


def _signature(arguments: ast.arguments) -> inspect.Signature:
    """Give the signature that a function's parameters make; every default is None."""
    positional = [*arguments.posonlyargs, *arguments.args]
    n_needed = len(positional) - len(arguments.defaults)
    found = [
        (argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, number >= n_needed)
        for number, argument in enumerate(positional)
    ]
    if arguments.vararg:
        found.append((arguments.vararg, inspect.Parameter.VAR_POSITIONAL, False))
    found += [
        (argument, inspect.Parameter.KEYWORD_ONLY, default is not None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        found.append((arguments.kwarg, inspect.Parameter.VAR_KEYWORD, False))
    return inspect.Signature(
        [
            inspect.Parameter(argument.arg, kind, default=None if has_default else EMPTY)
            for argument, kind, has_default in found
        ]
    )
