"""The tables of `make bench-serving` and `make soak`: rows with their reach, and the machine."""

import platform
import re
import statistics
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmark.servers import ROOT
from benchmark.windows import Window
from preflight.errors import Problem

NAMES = ("ours", "FastAPI", "BentoML quickstart", "bare ASGI", "without duties", "mlflow")
PACKAGES = ("bentoml", "uvicorn", "fastapi", "mlflow", "lightgbm", "numpy")
CONNECTIONS = 8
PAGE = ROOT / "docs/serving.md"
MARKS = "<!-- measured: serving -->", "<!-- end: serving -->"
Rounds = list[dict[str, Window]]


@dataclass(frozen=True)
class Line:
    """A row of the table: what, its reach, what was measured, and whether that is met."""

    what: str
    reach: str
    measured: str
    met: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.reach} | {self.measured} | {'yes' if self.met else 'no'} |"


def medians(rounds: Rounds, name: str) -> Window:
    """A server's medians over the rounds, and all of its failures."""
    windows = [each[name] for each in rounds]
    rate, p50, p99, processor = (
        statistics.median(getattr(each, field) for each in windows)
        for field in ("rate", "p50", "p99", "processor")
    )
    return Window(rate, sum(each.failures for each in windows), p50, p99, processor)


def page(
    lines: list[Line], rounds: Rounds, start: dict[str, float], parts: dict[str, float]
) -> str:
    """All tables as Markdown."""
    whole = medians(rounds, "ours").processor
    parts = dict(sorted(parts.items(), key=lambda each: -each[1]))
    parts["HTTP, event loop, ASGI and the rest"] = whole - sum(parts.values())
    tables = [
        ("| what | reach | measured | met |", map(str, lines)),
        (
            f"| {CONNECTIONS} connections | requests/s | processor µs each | p50 ms | p99 ms |",
            (_row(name, medians(rounds, name)) for name in NAMES),
        ),
        ("| start | seconds |", (f"| {name} | {each:.2f} |" for name, each in start.items())),
        (
            "| an answer | processor µs | share |",
            (f"| {name} | {each:.1f} | {each / whole:.0%} |" for name, each in parts.items()),
        ),
    ]
    shown = ["\n".join([head, _rule(head), *rows]) for head, rows in tables]
    return "\n\n".join([*shown, machine()])


def _row(name: str, found: Window) -> str:
    times = f"{found.processor:,.0f} | {found.p50:.1f} | {found.p99:.1f}"
    return f"| {name} | {found.rate:,.0f} | {times} |"


def _rule(head: str) -> str:
    return "|" + "---|" * (head.count("|") - 1)


def machine() -> str:
    """What this was measured on."""
    names = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", names.read_text()) if names.exists() else None
    kind = f"{model[1]} ({platform.machine()})" if model else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{psutil.cpu_count()} cores, {kind}, Python {platform.python_version()}, {packages}."


def written(text: str) -> None:
    """Put the tables between the marks of the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise Problem(str(PAGE), "no marks", " and ".join(MARKS), "Add them where it shall stand.")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
