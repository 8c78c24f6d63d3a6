"""How much of the code the tests run: in all, and of the lines that a change touches."""

import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from preflight import workspace
from preflight.errors import NoData, Problem
from preflight.evidence import Evidence, Findings, Status, Table
from preflight.files import read_json, write_json
from preflight.layout import STATE

TOTALS = STATE / "coverage" / "totals"
# What Git takes for the state before the first commit.
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # pragma: allowlist secret
# Contents are marked < and >, so that none can pass for a header.
DIFF = (
    "-c",
    "core.quotePath=false",
    "diff",
    "--unified=0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--find-renames",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--output-indicator-old=<",
    "--output-indicator-new=>",
)
HUNK = re.compile(rb"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
MOST_ROWS, MOST_CELL, MOST_NAMED = 80, 120, 5

Lines = dict[str, set[int]]


class _File(BaseModel):
    executed_lines: set[int]
    missing_lines: set[int]


class _Totals(BaseModel):
    percent_covered: Annotated[FiniteFloat, Field(ge=0, le=100)]
    num_statements: Annotated[int, Field(gt=0)]
    num_branches: int = 0


class _Report(BaseModel):
    """What is read of `coverage json`."""

    files: dict[str, _File]
    totals: _Totals


@dataclass(frozen=True)
class _Change:
    root: Path
    base: str | None
    commit: str


def coverage(root: Path, report: Path, base: str | None, commit: str) -> Findings:
    """Evidence of the checks `total` and `changed-lines`, from coverage's JSON report of `commit`.

    Limits are the base's: [tool.coverage.report] fail_under, a percentage, of its pyproject.toml
    and gates.coverage.min_changed_lines, a share, of its params.yaml; `commit`'s where the base
    is None or states none. Without a base all lines are changed ones. What cannot be read is
    evidence of no data. Keeps the total under .preflight/coverage/totals for later comparisons.
    """
    change = _Change(root, base, commit)
    lines: list[Evidence] = []
    tables: tuple[Table, ...] = ()
    try:
        lines.append(_total(change, _read(report)))
    except Problem as problem:
        claim = "Tests cover enough of the lines and branches."
        lines.append(_line("total", "no-data", claim, str(problem)))
    try:
        line, tables = _changed(change, _read(report))
        lines.append(line)
    except Problem as problem:
        claim = "Enough of the changed lines of src run in tests."
        lines.append(_line("changed-lines", "no-data", claim, str(problem)))
    return Findings(evidence=tuple(lines), tables=tables)


def changed_lines(root: Path, base: str | None, commit: str) -> Lines:
    """Lines by path that src/*.py of `commit` has and `base` has not; all of them without a base.

    Raises Problem when Git does not know one of the two.
    """
    command = ["git", *DIFF, base or EMPTY_TREE, commit, "--", ":(glob)src/**/*.py"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode:
        raise workspace.failed(["git", "diff"], done.stderr.decode(errors="replace"))
    found: Lines = {}
    path = ""
    for line in done.stdout.split(b"\n"):
        if line.startswith(b"+++ "):
            name = line.removeprefix(b"+++ ").decode(errors="replace")
            path = name.strip('"\t').removeprefix("b/")
        elif hunk := HUNK.match(line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(path, set()).update(range(first, first + count))
    return found


def _total(change: _Change, measured: _Report) -> Evidence:
    percent = measured.totals.percent_covered
    write_json(change.root / TOTALS / f"{change.commit}.json", {"percent": percent})
    least = _limit(change, "pyproject.toml", _fail_under)
    before = _known_total(change)
    against = (
        "the base was not measured here"
        if before is None
        else f"{percent - before:+.1f} points against the base"
    )
    return _line(
        "total",
        "pass" if percent >= least else "fail",
        f"Tests cover at least {least:g}% of lines and branches.",
        f"{percent:.1f}%, {against}",
        measured=percent,
        limit=f"at least {least:g}%",
        n=measured.totals.num_statements + measured.totals.num_branches,
    )


def _changed(change: _Change, measured: _Report) -> tuple[Evidence, tuple[Table, ...]]:
    least = round(100 * _limit(change, "params.yaml", _min_changed_lines), 6)
    claim = f"At least {least:g}% of the changed lines of src run in tests."
    limit = f"at least {least:g}%"
    changed = changed_lines(change.root, change.base, change.commit)
    ran, not_run = _divided(changed, measured)
    executable = ran + sum(map(len, not_run.values()))
    if not executable:
        found = "no executable line changed"
        return _line("changed-lines", "pass", claim, found, limit=limit, n=0), ()
    percent = 100 * ran / executable
    places = [f"{path}:{span}" for path, lines in not_run.items() for span in _spans(lines)]
    line = _line(
        "changed-lines",
        "pass" if percent >= least else "fail",
        claim,
        f"{ran} of {executable} changed lines, {percent:.1f}%{_named(places)}",
        measured=percent,
        limit=limit,
        n=executable,
    )
    return line, _table(not_run)


def _divided(changed: Lines, measured: _Report) -> tuple[int, Lines]:
    """How many changed lines tests run, and the lines that they do not.

    No test ran a file that the report does not know: each of its lines counts.
    """
    ran, not_run = 0, {}
    for path, lines in changed.items():
        file = measured.files.get(path)
        ran += len(lines & file.executed_lines) if file else 0
        if missed := lines & file.missing_lines if file else lines:
            not_run[path] = missed
    return ran, not_run


def _table(not_run: Lines) -> tuple[Table, ...]:
    rows = tuple(
        (path[-MOST_CELL:], _short(", ".join(_spans(lines)))) for path, lines in not_run.items()
    )
    title = "Changed lines that no test runs"
    return (Table(title=title, columns=("file", "lines"), rows=rows[:MOST_ROWS]),) if rows else ()


def _read(report: Path) -> _Report:
    try:
        return _Report.model_validate_json(report.read_bytes())
    except OSError as error:
        found = f"no readable file ({error.strerror})"
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80] or "the document"
        found = f"{place}: {first['msg']}"
    raise NoData(report.name, found, "the report of `coverage json`", "Run `make test`.")


def _limit(change: _Change, path: str, reader: Callable[[str], float | None]) -> float:
    """A limit as the base has it in Git, else as the commit itself has it."""
    for revision in filter(None, (change.base, change.commit)):
        done = workspace.run(change.root, "git", "show", f"{revision}:{path}", check=False)
        if not done.returncode and (limit := reader(done.stdout)) is not None:
            return limit
    raise NoData(path, "no limit of coverage", "one, in Git", "See docs/params.md.")


def _fail_under(text: str) -> float | None:
    try:
        return _number(tomllib.loads(text), ["tool", "coverage", "report", "fail_under"])
    except tomllib.TOMLDecodeError:
        return None


def _min_changed_lines(text: str) -> float | None:
    try:
        return _number(yaml.safe_load(text), ["gates", "coverage", "min_changed_lines"])
    except yaml.YAMLError:
        return None


def _number(plain: Any, keys: list[str]) -> float | None:
    for key in keys:
        plain = plain.get(key) if isinstance(plain, dict) else None
    return float(plain) if type(plain) in (int, float) else None


def _known_total(change: _Change) -> float | None:
    try:
        found = read_json(change.root / TOTALS / f"{change.base}.json")
        return _number(found, ["percent"])
    except Problem:
        return None


def _spans(lines: set[int]) -> list[str]:
    """Line numbers as ranges: {1, 2, 3, 7} -> 1-3, 7."""
    ordered = sorted(lines)
    starts = [line for line in ordered if line - 1 not in lines]
    ends = [line for line in ordered if line + 1 not in lines]
    return [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]


def _named(places: list[str]) -> str:
    if not places:
        return ""
    rest = len(places) - MOST_NAMED
    named = ", ".join(place[-MOST_CELL // 2 :] for place in places[:MOST_NAMED])
    return f"; not run: {named}" + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= MOST_CELL else text[: MOST_CELL - 1] + "…"


def _line(check: str, status: Status, claim: str, found: str, **figures: Any) -> Evidence:
    return Evidence(
        gate="coverage",
        check=check,
        status=status,
        claim=claim,
        found=found[:600],
        reproduce="make test",
        **figures,
    )
