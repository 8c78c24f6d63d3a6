"""A pytest plugin: each suite, a folder of tests/, leaves one part of evidence.

Load it with `-p preflight.suites`; it writes when `--evidence DIR` says where to.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from preflight import evidence
from preflight.evidence import Evidence, Part, Status, Table

CLAIMS = {
    "base-case": "The model answers every hand-checkable case within its bounds.",
    "oddities": "Every odd data set is answered or refused as defined.",
}
BY_KIND = ("base-case", "oddities")
WITH_COVERAGE = ("unit", "integration")
MOST_FAILURES, MOST_ROWS = 30, 80
MOST_TEXT, MOST_CELL = 300, 120
CLAIM = "preflight-claim"  # among a test's user properties


@dataclass
class Suite:
    """What became of one suite's tests, by node id.

    `claims` holds every collected test; `failed` and `skipped` also hold modules that could
    not be collected or were left out whole; `missed` counts tests that nobody asked for.
    """

    name: str
    claims: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    missed: int = 0
    narrowed: bool = False
    seconds: float = 0.0

    def part(self, commit: str, *, cut: bool) -> Part:
        """The suite's evidence; `cut` says that the session has not come to its end."""
        status, found = self._judged(cut)
        whole = Evidence(
            gate=self.name,
            check="suite",
            status=status,
            claim=CLAIMS.get(self.name, f"Every {self.name} test passes."),
            found=found,
            n=len(self._ran()),
            reproduce=_remake(self.name),
        )
        shown = list(self.failed.items())[:MOST_FAILURES]
        return Part(
            gate=self.name,
            commit=commit,
            seconds=round(self.seconds, 3),
            evidence=(whole, *(self._failure(*each) for each in enumerate(shown, 1))),
            tables=tuple(self._tables()),
        )

    def _ran(self) -> set[str]:
        return (self.finished | self.failed.keys() & self.claims.keys()) - self._left_out()

    def _left_out(self) -> set[str]:
        return self.skipped.keys() - self.failed.keys()

    def _judged(self, cut: bool) -> tuple[Status, str]:
        passed = len(self._ran() - self.failed.keys())
        counts = {"failed": len(self.failed), "passed": passed, "skipped": len(self._left_out())}
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        said = f"{said or 'no test'} in {self.seconds:.0f} s"
        if self.failed:
            rest = len(self.failed) - MOST_FAILURES
            return "fail", said + (f"; {rest} failures are not listed" if rest > 0 else "")
        if cut or self.claims.keys() - self.finished:
            done = f"{len(self.finished)} of {len(self.claims)} tests came to an end"
            return "no-data", f"the suite did not finish: {done}"
        if self.missed or self.narrowed:
            return "no-data", f"only a part of the suite was asked for: {said}"
        return ("pass", said) if passed else ("no-data", f"no test ran: {said}")

    def _failure(self, number: int, failure: tuple[str, str]) -> Evidence:
        nodeid, reason = failure
        return Evidence(
            gate=self.name,
            check=f"test-{number}",
            status="fail",
            claim=self.claims.get(nodeid, "The module can be collected."),
            found=_line(f"{nodeid}: {reason}", MOST_TEXT),
            reproduce=_again(nodeid, self.name),
        )

    def _tables(self) -> Iterable[Table]:
        if self.name in BY_KIND and (rows := _kinds(self._ran(), self.failed.keys())):
            yield Table(title="Kinds", columns=("kind", "cases", "failed"), rows=rows)
        left_out = sorted(self._left_out())[:MOST_ROWS]
        reasons = (
            (_line(each, MOST_CELL), _line(self.skipped[each], MOST_CELL)) for each in left_out
        )
        if left_out:
            yield Table(title="Skipped tests", columns=("test", "reason"), rows=tuple(reasons))


class Recorder:
    """Listens to a session and writes the parts: unfinished first, so that a crash leaves them."""

    def __init__(self, config: pytest.Config, folder: Path, commit: str) -> None:
        self._folder, self._commit = folder, commit
        self._suites: dict[str, Suite] = {}
        self._apart = Suite("apart")  # of tests that belong to no suite; never written
        self._ask(_asked(config))

    def _ask(self, paths: Sequence[PurePosixPath]) -> None:
        everything = any(len(path.parts) < 2 for path in paths)
        for path in sorted(paths, key=lambda path: -len(path.parts)):
            self._of(str(path)).narrowed = len(path.parts) > 2 and not everything
        self._write(cut=True)

    def _of(self, nodeid: str) -> Suite:
        name = suite_of(nodeid)
        return self._suites.setdefault(name, Suite(name)) if name else self._apart

    def _write(self, *, cut: bool) -> None:
        for suite in self._suites.values():
            evidence.write(self._folder, suite.part(self._commit, cut=cut))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported fails its suite."""
        if report.failed:
            self._of(report.nodeid).failed[report.nodeid] = _reason(report)
        elif report.skipped:
            self._of(report.nodeid).skipped[report.nodeid] = _reason(report)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """A suite of which tests were left out is not the suite."""
        for item in items:
            self._of(item.nodeid).missed += 1

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """All tests are known, and none has run."""
        for item in session.items:
            self._of(item.nodeid).claims[item.nodeid] = _claim(item)
        self._write(cut=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """All tests are known to one of pytest-xdist's processes, which collect in our stead."""
        for nodeid in ids:
            self._of(nodeid).claims.setdefault(nodeid, _sentence(nodeid.rpartition("::")[2]))
        self._write(cut=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """One of pytest-xdist's processes ended; each was asked for all tests."""
        for name, count in getattr(node, "workeroutput", {}).get("missed", {}).items():
            suite = self._suites.setdefault(name, Suite(name))
            suite.missed = max(suite.missed, count)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of a test's phases, set-up, call or tear-down, has an outcome."""
        suite = self._of(report.nodeid)
        suite.claims.update((report.nodeid, text) for _, text in _claims(report))
        suite.seconds += report.duration
        if report.failed:
            suite.failed[report.nodeid] = _reason(report)
        elif report.skipped:  # an expected failure is one too: it shows nothing
            suite.skipped[report.nodeid] = getattr(report, "wasxfail", "") or _reason(report)
        if report.when == "teardown":
            suite.finished.add(report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """The last word, unless the session was interrupted or broke."""
        done = (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        self._write(cut=exitstatus not in done)


class Worker:
    """In one of pytest-xdist's processes: tells the recorder which tests were left out."""

    def __init__(self, config: Any) -> None:
        self._missed: dict[str, int] = config.workeroutput.setdefault("missed", {})

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Counted by suite."""
        for item in items:
            if name := suite_of(item.nodeid):
                self._missed[name] = self._missed.get(name, 0) + 1


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test's claim travels with its reports, from whichever process."""
    item.user_properties.append((CLAIM, _claim(item)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --evidence and --evidence-commit."""
    group = parser.getgroup("preflight")
    group.addoption("--evidence", metavar="DIR", help="write each suite's evidence into DIR")
    group.addoption("--evidence-commit", metavar="SHA", help="the commit that the tests are of")


def pytest_configure(config: pytest.Config) -> None:
    """Record when asked to."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config))
    elif folder := config.getoption("evidence"):
        commit = config.getoption("evidence_commit") or ""
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            found = repr(commit) if commit else "nothing"
            raise pytest.UsageError(
                f"--evidence-commit: found {found}; expected 40 hexadecimal digits. "
                "Give what `git rev-parse HEAD` prints."
            )
        config.pluginmanager.register(Recorder(config, Path(folder).resolve(), commit))


def suite_of(nodeid: str) -> str | None:
    """The suite of a node id or path: the folder's name below tests/, as in `base-case`."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts
    if len(parts) < 2 or parts[0] != "tests":
        return None
    name = parts[1].replace("_", "-")
    return name if re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name) else None


def _asked(config: pytest.Config) -> list[PurePosixPath]:
    """The paths that the command or the settings name, from the root."""
    root = config.rootpath.resolve()
    names = (argument.partition("::")[0] for argument in config.args)
    paths = ((config.invocation_params.dir / name).resolve() for name in names)
    return [PurePosixPath(path.relative_to(root)) for path in paths if path.is_relative_to(root)]


def _kinds(ran: Iterable[str], failed: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    """Cases and failures by kind, the kinds that failed first."""
    counts: dict[str, list[int]] = {}
    bad = set(failed)
    for nodeid in ran:
        row = counts.setdefault(_kind(nodeid), [0, 0])
        row[0] += 1
        row[1] += nodeid in bad
    ordered = sorted(counts.items(), key=lambda item: (-item[1][1], item[0]))
    return tuple((kind, cases, wrong) for kind, (cases, wrong) in ordered[:MOST_ROWS])


def _kind(nodeid: str) -> str:
    """`above maximum` of `test_requests.py::test_x[trip_distance-above_maximum]`."""
    test, _, case = nodeid.partition("[")
    name = case.removesuffix("]").rpartition("-")[2] or test.rpartition("::")[2]
    return _line(name.removeprefix("test_").replace("_", " "), MOST_CELL)


def _claim(item: pytest.Item) -> str:
    """The first line of a test's docstring, else its name as a sentence."""
    return _sentence(item.name, getattr(getattr(item, "obj", None), "__doc__", None) or "")


def _claims(report: pytest.TestReport) -> list[tuple[str, str]]:
    return [(key, str(text)) for key, text in report.user_properties if key == CLAIM]


def _sentence(test: str, doc: str = "") -> str:
    """A test's name, or the first line of its docstring, with its case."""
    name, _, case = test.partition("[")
    lines = doc.strip().splitlines()
    words = lines[0] if lines else name.removeprefix("test_").replace("_", " ")
    sentence = (words[:1].upper() + words[1:]).rstrip(".")
    of = f" ({case.removesuffix(']')})" if case else ""
    return _line(f"{sentence}{of}", MOST_TEXT - 1) + "."


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The traceback's last line, or why a test was skipped."""
    found = report.longrepr
    if isinstance(found, tuple):
        return found[2].removeprefix("Skipped: ")
    crash = getattr(found, "reprcrash", None)
    if crash is not None:
        return str(crash.message).partition("\n")[0]
    lines = [line for line in report.longreprtext.splitlines() if line.strip()]
    return lines[-1].removeprefix("E ").strip() if lines else "no reason was given"


def _line(text: str, most: int) -> str:
    """One line of printable characters (no lone surrogate, no escape), at most so many."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _remake(suite: str) -> str:
    return "make test" if suite in WITH_COVERAGE else f"make gates ONLY={suite}"


def _again(nodeid: str, suite: str) -> str:
    """The command that runs one test, or its module where the test's name is too long."""
    for name in (nodeid, nodeid.partition("[")[0], nodeid.partition("::")[0]):
        command = f".venv/bin/pytest {shlex.quote(name)}"
        if len(command) <= MOST_CELL and name.isprintable():
            return command
    return _remake(suite)
