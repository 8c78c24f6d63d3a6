"""What a load run shows: a headline, both sides' latencies and rates, the machine, a chart."""

import os
from collections.abc import Sequence
from math import isnan
from statistics import fmean

import psutil

from preflight.evidence import Chart, Headline, Table
from preflight.gates.load_test.generator import Side, Window, mean_rate, of_side, pooled
from preflight.gates.load_test.margins import Ratios

SIDES: tuple[Side, ...] = ("champion", "candidate")


def headlines(ratios: Ratios | None, windows: Sequence[Window]) -> tuple[Headline, ...]:
    """p95 of both sides at the expected load, in milliseconds."""
    ours, theirs = (pooled(of_side(windows, side), 95) for side in ("candidate", "champion"))
    if isnan(ours):
        return ()
    then, ends = None, None
    if ratios and (found := ratios["p95"]):
        then, ends = theirs, (theirs * (found.low - 1), theirs * (found.high - 1))
    name = "p95 under load"
    return (
        Headline(name=name, unit="ms", champion=then, candidate=ours, change=ends, better="lower"),
    )


def latencies(windows: Sequence[Window]) -> Table:
    """Latencies and rate at the expected load, a row a side."""
    rows = []
    for side in SIDES:
        own = of_side(windows, side)
        times = [value for each in own for value in each.latencies]
        if times:
            figures = [pooled(own, share) for share in (50, 95, 99)]
            figures += [fmean(times), mean_rate(own)]
            rows.append((side, *(round(each, 2) for each in figures), len(times)))
    columns = ("side", "p50 ms", "p95 ms", "p99 ms", "mean ms", "requests a second", "answers")
    return Table(title="At the expected load", columns=columns, rows=tuple(rows))


def machine(windows: Sequence[Window]) -> Table:
    """What it was measured on, and what the generator and the services used of it."""
    memory = psutil.virtual_memory().total / 2**30
    rows: list[tuple[str, str]] = [
        ("CPUs of this machine", str(os.cpu_count())),
        ("memory of this machine", f"{memory:.1f} GiB"),
    ]
    for side in SIDES:
        own = of_side(windows, side)
        if own:
            rows.append((f"memory of the {side}'s service", f"{own[-1].memory / 2**20:.0f} MiB"))
            rows.append((f"cores it used at most, {side}", f"{max(e.server for e in own):.2f}"))
    return Table(
        title="The machine of the load test", columns=("what", "how much"), rows=tuple(rows)
    )


def charts(windows: Sequence[Window]) -> tuple[Chart, ...]:
    """Requests a second by callers at once, a line a side."""
    steps = [each for each in windows if each.phase == "step"]
    sides = [side for side in SIDES if of_side(steps, side)]
    if not steps:
        return ()
    labels = tuple(dict.fromkeys(str(each.users) for each in steps))
    series: dict[str, tuple[float | None, ...]] = {
        side: tuple(
            round(fmean(e.rate for e in steps if (e.side, str(e.users)) == (side, label)), 1)
            for label in labels
        )
        for side in sides
    }
    title = "Requests a second by callers at once"
    return (Chart(title=title, unit="requests/s", kind="lines", labels=labels, series=series),)
