"""Settings of pytest and coverage in pyproject.toml before and after a change."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from preflight.policy.commits import HIDE_COVERAGE, HIDE_PYTEST, PROJECT, Change
from preflight.policy.loosening import Loosening, loosening

NUMBER = (int, float)
MISSING: dict[str, Any] = {}
LEFT_OUT = ("report.omit", "run.omit", "report.exclude_also", "report.exclude_lines")
MEASURED = ("run.source", "run.source_pkgs", "run.branch")
NARROWED = ("report.include", "run.include")
DESELECT = ("-k", "-m", "--ignore", "--ignore-glob", "--deselect", "--collect-only", "--co")
COLLECTED = ("python_files", "python_classes", "python_functions", "norecursedirs")


def coverage(change: Change) -> Iterator[Loosening]:
    """Settings under which coverage demands or measures less than before."""
    was, now = (_section(side, "coverage") for side in (change.base, change.head))
    least, left = _at(was, "report.fail_under"), _at(now, "report.fail_under")
    if isinstance(least, NUMBER) and not (isinstance(left, NUMBER) and left >= least):
        yield _setting("limit looser", "coverage.report.fail_under", least, left or "absent")
    for key in LEFT_OUT:
        for entry in _entries(now, key) - _entries(was, key):
            yield _setting("code left out of coverage", f"coverage.{key}", "", entry)
    for key in MEASURED:
        for entry in _entries(was, key) - _entries(now, key):
            yield _setting("coverage measures less", f"coverage.{key}", entry, "absent")
    for key in NARROWED:
        if _at(now, key) not in (None, _at(was, key)):
            yield _setting("coverage measures less", f"coverage.{key}", "all", _at(now, key))
    yield from _hidden(change, HIDE_COVERAGE, "coverage")


def pytest(change: Change) -> Iterator[Loosening]:
    """Settings under which pytest collects fewer tests than before."""
    was, now = (_pytest(side) for side in (change.base, change.head))
    for option in _deselecting(now) - _deselecting(was):
        yield _setting("tests deselected", "pytest.addopts", "", option)
    for entry in _entries(was, "testpaths") - _entries(now, "testpaths"):
        if "testpaths" in now:
            yield _setting("tests deselected", "pytest.testpaths", entry, "absent")
    for key in COLLECTED:
        if was.get(key) != now.get(key):
            yield _setting("tests collected otherwise", f"pytest.{key}", was.get(key), now.get(key))
    yield from _hidden(change, HIDE_PYTEST, "pytest")


def testpaths(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Beginnings of the paths where pytest looks unasked; one is empty when it looks everywhere."""
    named = _entries(_pytest(texts), "testpaths")
    return tuple(f"{each.rstrip('/')}/" for each in named) or ("",)


def broken(change: Change) -> bool:
    """Whether the head's pyproject.toml is absent or no TOML where the base's was."""
    return _project(change.head) is MISSING and _project(change.base) is not MISSING


def _setting(words: str, key: str, was: object, now: object) -> Loosening:
    remark = f"now {now}" if was == "" else ""
    return loosening(words, f"{PROJECT}: {key}", was, now, remark)


def _hidden(change: Change, names: tuple[str, ...], tool: str) -> Iterator[Loosening]:
    for name in names:
        if name in change.head and name not in change.base:
            yield loosening(f"settings of {tool} hidden by a new file", name, "absent", "present")


def _project(texts: Mapping[str, str]) -> dict[str, Any]:
    try:
        return tomllib.loads(texts[PROJECT]) if PROJECT in texts else MISSING
    except tomllib.TOMLDecodeError:
        return MISSING


def _section(texts: Mapping[str, str], *names: str) -> dict[str, Any]:
    found: Any = _project(texts)
    for name in ("tool", *names):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _pytest(texts: Mapping[str, str]) -> dict[str, Any]:
    """Both tables that pytest reads: its own, and that of ini options."""
    return _section(texts, "pytest") | _section(texts, "pytest", "ini_options")


def _at(section: dict[str, Any], key: str) -> Any:
    table, _, name = key.partition(".")
    if not name:
        return section.get(table)
    inner = section.get(table, {})
    return inner.get(name) if isinstance(inner, dict) else None


def _entries(section: dict[str, Any], key: str) -> Counter[str]:
    found = _at(section, key)
    words = found if isinstance(found, list) else str(found).split() if found else []
    return Counter(str(each) for each in words)


def _deselecting(section: dict[str, Any]) -> Counter[str]:
    """Options by which pytest leaves tests out, each with its argument."""
    found = section.get("addopts", [])
    words = [str(word) for word in found] if isinstance(found, list) else str(found).split()
    return Counter(
        f"{word} {after}" if word in DESELECT and after[:1] != "-" else word
        for word, after in pairwise([*words, ""])
        if word.partition("=")[0] in DESELECT or word[:2] in ("-k", "-m")
    )
