"""The tests before and after a change: which were removed, emptied or skipped."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from preflight.policy import settings, skips
from preflight.policy.commits import PROJECT, Change
from preflight.policy.loosening import Loosening, counted, listed, loosening
from preflight.policy.sources import FUNCTIONS, Function, parsed

FILES, COLLECTED = r"tests/.*\.py", re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py")
Places = set[tuple[str, str]]  # paths and names
CHECKS = {"raises", "warns", "deprecated_call", "fail"}


@dataclass(frozen=True)
class File:
    """One file of tests: its tree, None where it is no Python, and its tests by Class::name.

    `runs` says whether it lies where pytest looks unasked.
    """

    path: str
    tree: ast.Module | None
    tests: Mapping[str, Function]
    runs: bool


def weakened(change: Change) -> Iterator[Loosening]:
    """Tests that the head lacks, that check nothing any more, or that do not run."""
    paths = change.paths(FILES)
    base, head = (_files(paths, side) for side in (change.base, change.head))
    gone, landed = _moved(base, head)
    for path, was, now in zip(paths, base, head, strict=True):
        if path in change.head and now.tree is None and was.tree is not None:
            yield loosening("no longer Python", path, counted(len(was.tests), "test"), "none")
        else:
            yield from _removed(was, now, gone)
            yield from _emptied(was, now)
        old = {name for name in now.tests if name in was.tests or (path, name) in landed}
        if now.tree is not None:
            shared = not COLLECTED.fullmatch(path) and _reaches_old_tests(path, change)
            yield from skips.new(path, was.tree, now.tree, old, now.tests, shared=shared)
    if settings.broken(change):
        yield loosening("settings of pytest removed", PROJECT, "settings", "absent, or no TOML")
    yield from settings.pytest(change)


def _files(paths: list[str], texts: Mapping[str, str]) -> list[File]:
    looked = settings.testpaths(texts)
    return [_file(path, texts.get(path), path.startswith(looked)) for path in paths]


def _file(path: str, text: str | None, runs: bool) -> File:
    tree = parsed(text)
    collected = tree if COLLECTED.fullmatch(path) else None
    return File(path, tree, dict(_tests(collected)) if collected else {}, runs)


def _tests(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[tuple[str, Function]]:
    """What pytest collects, by name; of two with one name the later, as in Python."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name.startswith("test"):
            yield f"{within}{node.name}", node
        elif isinstance(node, ast.ClassDef) and _is_collected(node):
            yield from _tests(node, f"{within}{node.name}::")


def _is_collected(node: ast.ClassDef) -> bool:
    bases = [ast.unparse(each) for each in node.bases]
    return node.name.startswith("Test") or any(each.endswith("TestCase") for each in bases)


def _reaches_old_tests(path: str, change: Change) -> bool:
    """Whether a file that is no test (conftest, say) had tests in its folder, or below, before."""
    folder = path.rpartition("/")[0] + "/"
    return any(each.startswith(folder) and COLLECTED.fullmatch(each) for each in change.before)


def _moved(base: list[File], head: list[File]) -> tuple[Places, Places]:
    """Tests that are gone, and tests of the head that came from another place or name.

    A test that was there before is no new place for another of equal lines, which say
    something else among other constants and fixtures; nor is a folder where pytest does not look.
    """
    free: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for file, name in _only(head, base):
        free.setdefault((_body(file.tests[name]), file.runs), []).append((file.path, name))
    gone, landed = set(), set()
    for file, name in _only(base, head):
        body = _body(file.tests[name])
        places = free.get((body, True)) or (not file.runs and free.get((body, False)))
        if places:
            landed.add(places.pop())
        else:
            gone.add((file.path, name))
    return gone, landed


def _only(these: list[File], those: list[File]) -> Iterator[tuple[File, str]]:
    """The tests that a file has on one side only."""
    for this, that in zip(these, those, strict=True):
        yield from ((this, name) for name in this.tests if name not in that.tests)


def _body(test: Function) -> str:
    """What a test says, but for its name and its docstring."""
    parts = [test.args, *test.decorator_list, *_statements(test)]
    return "\n".join(ast.dump(part) for part in parts)


def _statements(test: Function) -> list[ast.stmt]:
    return test.body[1:] if ast.get_docstring(test, clean=False) is not None else test.body


def _removed(was: File, now: File, gone: Places) -> Iterator[Loosening]:
    lost = [name for name in was.tests if (was.path, name) in gone]
    if lost and not now.tests:
        count, names = counted(len(lost), "test"), listed(lost, count=3, between=", ")
        yield loosening("tests removed", was.path, count, "none", names)
        return
    for name in lost:
        yield loosening("test removed", f"{was.path}::{name}")


def _emptied(was: File, now: File) -> Iterator[Loosening]:
    for name, old in was.tests.items():
        new = now.tests.get(name)
        if new is None or was.tree is None or now.tree is None:
            continue
        subject, before = f"{was.path}::{name}", _checks(old)
        if (before and not _checks(new)) or (_idle(new) and not _idle(old)):
            yield loosening(
                "test emptied", subject, counted(before, "check") if before else "a body", "none"
            )
        if _without_cases(now.tree, new) and not _without_cases(was.tree, old):
            yield loosening("test left without cases", subject, "some", "none")


def _checks(test: Function) -> int:
    """Assertions that can fail, up to a return that always comes first."""
    body = _statements(test)
    ends = [place for place, each in enumerate(body) if isinstance(each, ast.Return)]
    nodes = [node for each in body[: ends[0] if ends else None] for node in ast.walk(each)]
    return sum(_is_check(node) for node in nodes)


def _is_check(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant | ast.Tuple)
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in CHECKS or name.startswith("assert")


def _idle(test: Function) -> bool:
    """Whether a test begins with pass, a bare constant or a return, or says nothing at all."""
    first = next(iter(_statements(test)), ast.Pass())
    bare = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return bare or isinstance(first, ast.Pass | ast.Return)


def _without_cases(tree: ast.Module, test: Function) -> bool:
    """Whether a test is parametrized over an empty list, written there or named in its file."""
    stated = {
        ast.unparse(target): node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    marks = [mark for mark in test.decorator_list if isinstance(mark, ast.Call)]
    given = [
        cases
        for mark in marks
        if ast.unparse(mark.func).endswith("parametrize")
        for cases in [*mark.args[1:2], *(k.value for k in mark.keywords if k.arg == "argvalues")]
    ]
    found = [stated.get(ast.unparse(cases), cases) for cases in given]
    return any(isinstance(each, ast.List | ast.Tuple) and not each.elts for each in found)
