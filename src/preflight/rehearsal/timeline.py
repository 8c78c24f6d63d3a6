"""A rehearsal on a terminal: a line for what happens, and how far the judge is."""

import sys
from typing import TextIO

import click

from preflight.rehearsal.record import Event, Look, Rehearsal

WIDTH = 80
BAR = 20
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
    """One look: weight, verdict, and how far the slowest metric is from being fine."""
    fine = [min(each.fine, 1.0) for each in found.metrics if each.fine is not None]
    least = max(0.0, min(fine, default=0.0))
    bar = "#" * round(BAR * least) + "." * (BAR - round(BAR * least))
    asked = f"{found.requests[1]:,} of the canary"
    return f"{found.at:6.1f} s  {found.weight:3}%  {found.result:9} [{bar}] {asked}"


def summary(found: Rehearsal) -> str:
    """How it ended, what callers met, and what was not shown."""
    served = found.served
    lines = [
        "",
        click.style(found.title, fg=COLOURS.get(found.state), bold=True),
        f"  {found.reason}",
        f"  {served.requests:,} requests at {found.rate:g} a second, {served.canary:,} of the "
        f"canary: {served.failed:,} failed, {served.unreached:,} of them unanswered by any arm",
        f"  {served.entities:,} entities met the canary, {served.left:,} left it while its "
        "weight rose",
        f"  verdict to all traffic: {found.moved:.2f} s; {found.seconds:.0f} s of rollout, "
        f"{found.whole:.0f} s in all",
        "",
        NOT_SHOWN,
    ]
    return "\n".join(lines)
