"""Gates, planted faults and other machinery that a change touches."""

import ast
from collections.abc import Iterator

from preflight.policy.commits import Change
from preflight.policy.loosening import Loosening, loosening
from preflight.policy.sources import parsed

LISTS = "src/preflight/gates/__init__.py"
TUPLES = ("GATES", "TIMED", "SUITES", "MODEL_SUITES", "CODE_SUITES", "LINT", "REQUIRED")
MODULES = r"src/preflight/gates/.*\.py|src/preflight/stages/validate\.py"
MACHINERY = (
    r"(?:src/preflight|\.github|\.ci|tests/faults|requirements)/.*|Makefile"
    r"|(?:.*/)?(?:conftest|sitecustomize|usercustomize)\.py"
    r"|pyproject\.toml|dvc\.yaml|bentofile\.yaml|\.pre-commit-config\.yaml"
)


def removed(change: Change) -> Iterator[Loosening]:
    """Gates, their entries in the lists, and planted faults that the head lacks."""
    for path in change.paths(MODULES):
        if path in change.base and path not in change.head:
            yield loosening("gate removed", path)
    old, new = (named(side.get(LISTS)) for side in (change.base, change.head))
    for name, entries in old.items():
        if name not in new:
            yield loosening("list of gates removed", name, ", ".join(entries), "no literal tuple")
        for entry in entries:
            if entry not in new.get(name, [entry]):
                yield loosening("gate removed", f"{name}: {entry}")
    faults = [
        [
            fault
            for path in change.paths(r"tests/faults/.*\.py")
            for fault in planted(side.get(path))
        ]
        for side in (change.base, change.head)
    ]
    for fault in faults[0]:
        if fault not in faults[1]:
            yield loosening("planted fault removed", f"tests/faults: {fault}")


def named(text: str | None) -> dict[str, list[str]]:
    """The entries of the literal tuples of gates and suites, by tuple."""
    found: dict[str, list[str]] = {}
    for node in getattr(parsed(text), "body", []):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in {ast.unparse(each) for each in targets} & set(TUPLES):
                found.pop(name, None)
                if isinstance(node.value, ast.Tuple | ast.List):
                    found[name] = [_entry(each) for each in node.value.elts]
    return found


def _entry(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def planted(text: str | None) -> list[str]:
    """The names of the faults that a source plants: Fault("name", …) or Fault(name="name")."""
    found = []
    for node in ast.walk(parsed(text) or ast.Module([], [])):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Fault":
            given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "name")]
            found += [str(each.value) for each in given if isinstance(each, ast.Constant)]
    return found
