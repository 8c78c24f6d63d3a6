"""Marks and calls by which tests do not run, read from the tests' syntax trees."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator

from preflight.policy.loosening import Loosening, loosening
from preflight.policy.sources import FUNCTIONS, Names, dotted, imported, scoped

MARKS = tuple(f"pytest.mark.{name}" for name in ("skip", "skipif", "xfail"))
SKIPS = {
    *MARKS,
    *(f"pytest.{name}" for name in ("skip", "importorskip", "xfail", "exit")),
    *(f"unittest.{name}" for name in ("skip", "skipIf", "skipUnless", "expectedFailure")),
    *("unittest.SkipTest", "self.skipTest"),
}
IGNORES = {"collect_ignore", "collect_ignore_glob", "__test__"}
HOOKS = {"pytest_ignore_collect", "pytest_collection_modifyitems"}
OPTIONS = ("--ignore", "--deselect")
Found = Counter[tuple[tuple[str, ...], str]]


def new(
    path: str,
    base: ast.Module | None,
    head: ast.Module,
    old: Collection[str],
    tests: Collection[str],
    *,
    shared: bool,
) -> Iterator[Loosening]:
    """Skips of a file that the base has not, where they touch a test that was there before.

    `old` names those of the head's `tests`; `shared` says that tests of other files use this one.
    """
    before = skips(path, base, shared=shared) if base else Counter()
    for (scope, said), _ in sorted((skips(path, head, shared=shared) - before).items()):
        place = "::".join(scope)
        test = next((each for each in tests if f"{place}::".startswith(f"{each}::")), "")
        within = f"{place}::" if any(each.startswith(f"{place}::") for each in tests) else ""
        touched = {test} & set(old) if test else {each for each in old if each.startswith(within)}
        if shared or touched:
            subject = f"{path}::{test or place}" if place else path
            yield loosening("test skipped", subject, remark=said)


def skips(path: str, tree: ast.Module, *, shared: bool) -> Found:
    """Skips by the classes and functions around them, in the source's words.

    A mark that a file names for itself counts where it is used; one that others may import
    counts where it is made.
    """
    marks = _marks(tree)
    names = imported(tree) | dict.fromkeys(marks, MARKS[0])
    seen = set() if shared else {id(value) for value in marks.values()}
    found: Found = Counter()
    for scope, node in scoped(tree):
        if id(node) in seen:
            seen |= {id(each) for each in ast.iter_child_nodes(node)}
        elif said := _skip(node, names) or (_left_out(node) if _is_conftest(path) else ""):
            seen |= {id(each) for each in ast.iter_child_nodes(node)}
            found[scope, said] += 1
    return found


def _is_conftest(path: str) -> bool:
    return path.rpartition("/")[2] == "conftest.py"


def _marks(tree: ast.Module) -> dict[str, ast.expr]:
    """The marks that a file gives names to, but for pytest's own name."""
    names = imported(tree)
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and _skip(node.value, names)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id != "pytestmark"
    }


def _skip(node: ast.AST, names: Names) -> str:
    """A mark or a call that skips, or a name by which pytest passes a class or a file over."""
    if isinstance(node, ast.Call) and dotted(node.func, names) in SKIPS:
        return ast.unparse(node)
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        return ast.unparse(node) if dotted(node, names) in SKIPS else ""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return ast.unparse(node) if {ast.unparse(each) for each in targets} & IGNORES else ""
    return ""


def _left_out(node: ast.AST) -> str:
    """What makes a conftest leave tests out: a hook, or an option of pytest."""
    if isinstance(node, FUNCTIONS) and node.name in HOOKS:
        return f"def {node.name}"
    text = node.value if isinstance(node, ast.Constant) else None
    if isinstance(text, str) and (text.startswith(OPTIONS) or text == "-k"):
        return text
    return ""
