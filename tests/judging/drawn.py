"""The study's plots: false aborts against looks and clumps, power against requests."""

from collections.abc import Mapping

import numpy as np

from judging import parts
from judging.figures import aborted_by, falsely
from judging.plots import Axis, Line, Plot
from judging.rivals import JUDGE, RIVALS
from judging.scenarios import LOOKS, NOMINAL, RATE, REQUESTS
from judging.study import Courses

PROMISED = (0.05, "5%, what the judge promises at most")
SHARE = Axis(f"share of {parts.RUNS:,} rollouts", tuple((n / 5, f"{n / 5:.0%}") for n in range(6)))


def drawn(courses: Mapping[str, Courses]) -> dict[str, str]:
    """File names and drawings."""
    made = {"looks.svg": _looks, "power.svg": _power, "clumps.svg": _clumps}
    return {name: each(courses).svg() for name, each in made.items()}


def _looks(courses: Mapping[str, Courses]) -> Plot:
    looks = np.arange(1.0, LOOKS + 1)
    found = courses[parts.INDEPENDENT]
    lines = [Line(name, looks, aborted_by(found[name])) for name in RIVALS]
    ticks = tuple((float(each), str(each)) for each in range(0, LOOKS + 1, 50))
    title = "Identical arms, independent failures: falsely aborted"
    return Plot(title, Axis("looks", ticks), SHARE, lines, limit=PROMISED)


def _power(courses: Mapping[str, Courses]) -> Plot:
    sent = np.log10(np.arange(1, LOOKS + 1) * REQUESTS * NOMINAL)
    lines = [
        Line(f"{each:g} times", sent, aborted_by(courses[parts.ratio(each)][JUDGE]))
        for each in parts.RATIOS
    ]
    values = (30, 100, 300, 1000, 3000, 6000)
    ticks = tuple((float(np.log10(each)), f"{each:,}") for each in values)
    axis = Axis("requests of the canary, on a logarithmic scale", ticks)
    return Plot(
        f"Errors more often than stable's {RATE:.0%}: aborted", axis, SHARE, lines, rising=True
    )


def _clumps(courses: Mapping[str, Courses]) -> Plot:
    sizes = np.array([1.0, 3.0, 5.0, 10.0])
    names = (parts.INDEPENDENT, *parts.CLUMPS)
    lines = [
        Line(rival, sizes, np.array([falsely(courses[name][rival]) for name in names]))
        for rival in RIVALS
    ]
    ticks = tuple((size, f"{size:g}") for size in sizes.tolist())
    axis = Axis("mean size of a clump of failures, in requests of one entity", ticks)
    title = "Identical arms, failures in clumps: falsely aborted in 200 looks"
    return Plot(title, axis, SHARE, lines, limit=PROMISED, dots=True)
