"""Python sources as syntax trees, never run: names resolved through their imports."""

import ast
import warnings
from collections.abc import Iterator

Names = dict[str, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parsed(text: str | None) -> ast.Module | None:
    """The tree of a source; None where there is none, or it is no Python."""
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old escape in a string is not our subject
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imported(tree: ast.AST) -> Names:
    """Full dotted names by the names that a source gives them, wherever it imports."""
    found: Names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                top = each.name.partition(".")[0]
                found[each.asname or top] = each.name if each.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                found[each.asname or each.name] = f"{node.module}.{each.name}"
    return found


def dotted(node: ast.AST, names: Names) -> str:
    """The full dotted name of a name or an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def scoped(tree: ast.AST, scope: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], ast.AST]]:
    """Every node with the names of the classes and functions around it."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, (*FUNCTIONS, ast.ClassDef))
        inner = (*scope, node.name) if named else scope  # type: ignore[attr-defined]
        yield inner, node
        yield from scoped(node, inner)
