"""A rehearsal on a terminal: a line for what happens, and how far the judge is."""

import sys
from typing import TextIO

import click

from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.record import Event, Look, Rehearsal

WIDTH = 80
BAR = 8
COLOURS = {"promote": "green", "abort": "red", "promoted": "green", "aborted": "red"}
NOT_SHOWN = (
    "Not rehearsed: the controller, the gateway's translation of the route, Argo CD's diff. "
    "The drill shows the first two on a cluster: docs/operate.md."
)


class Timeline:
    """Tells events and looks as they come; on a terminal the last look stays in its line."""

    def __init__(self, file: TextIO | None = None) -> None:
        """Nothing is told yet."""
        self._file = file or sys.stderr
        self._open = False  # whether the line of a look can still be written over
        self._last = ""

    def __call__(self, found: Event | Look) -> None:
        """Tell one of them."""
        if isinstance(found, Event):
            self._end()
            self._say(f"{found.at:6.1f} s  {found.said}")
        elif self._file.isatty():
            self._say(f"\r{_look(found):{WIDTH - 1}.{WIDTH - 1}}", newline=False)
            self._open = True
        elif (gist := f"{found.result} {found.weight}") != self._last:
            self._last = gist
            self._say(_look(found))

    def _end(self) -> None:
        if self._open:
            self._say("")
            self._open = False

    def _say(self, said: str, *, newline: bool = True) -> None:
        click.echo(said, file=self._file, nl=newline)


def _look(found: Look) -> str:
    """One look: weight, verdict, the evidence for either end and the metric that it hangs on."""
    fine = {each.name: max(0.0, min(each.fine, 1.0)) for each in found.metrics if each.fine}
    worse = {each.name: max(0.0, min(each.worse, 1.0)) for each in found.metrics}
    needed = [each.name for each in found.metrics if each.fine is not None]
    least = min(needed, key=lambda name: fine.get(name, 0.0), default="")
    most = max(worse, key=lambda name: worse[name], default="")
    hangs = most if found.result == "abort" else least if found.result == "continue" else ""
    bars = f"fine {_bar(fine.get(least, 0.0))} worse {_bar(worse.get(most, 0.0))}"
    asked = f"{found.requests[1]:,} asked"
    return f"{found.at:6.1f} s {found.weight:4}%  {found.result:9} {bars}  {asked:>12}  {hangs}"


def _bar(share: float) -> str:
    return "[" + "#" * round(BAR * share) + "." * (BAR - round(BAR * share)) + "]"


def summary(found: Rehearsal) -> str:
    """How it ended, what callers met, and what was not shown."""
    served = found.served
    lines = [
        "",
        click.style(found.title + _must(found), fg=COLOURS.get(found.state), bold=True),
        f"  {found.reason}",
        f"  {served.requests:,} requests at {served.rate:.0f} a second, {served.canary:,} of the "
        f"canary: {served.failed:,} failed" + _unreached(served.unreached),
        f"  half of the answers within {served.p50_ms:.1f} ms, 99% within {served.p99_ms:.1f} ms",
        f"  {served.entities:,} entities met the canary, {served.left:,} left it while its "
        "weight rose",
        f"  {_moved(found)}{found.seconds:.0f} s of rollout, "
        f"{found.seconds * found.faster / 60:.0f} minutes as declared; {found.whole:.0f} s in all",
        "",
        NOT_SHOWN,
    ]
    return "\n".join(lines)


def _moved(found: Rehearsal) -> str:
    return "" if found.moved is None else f"verdict to all traffic: {found.moved:.2f} s; "


def _unreached(count: int) -> str:
    return f", {count:,} of them without an answer" if count else ""


def _must(found: Rehearsal) -> str:
    """Whether a fault ended as it must."""
    if found.fault is None:
        return ""
    fault = FAULTS[found.fault]
    if found.faulty == "stable":
        return ""
    return ", as it must" if fault.ends(found.state) else f", and must be {fault.expected}"
