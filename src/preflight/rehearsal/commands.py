"""The command `rehearse`: the declared rollout, on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preflight.watch.commands import HELP

if TYPE_CHECKING:
    from preflight.rehearsal.record import Rehearsal

ENDS = {"promoted": 0, "aborted": 1, "paused": 2}
FASTER = click.FloatRange(min=0, min_open=True, max=1_000)
RATE = click.FloatRange(min=0, min_open=True, max=5_000)


class Named(click.ParamType[str]):
    """A fault by its name; they are read when one is asked for."""

    name = "fault"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """The name, where there is such a fault."""
        from preflight.rehearsal.faults import FAULTS

        if value not in FAULTS:
            self.fail(f"{value!r} is none of {', '.join(FAULTS)}.", param, ctx)
        return str(value)


@click.command(context_settings=HELP)
@click.argument("environment", default="staging")
@click.option("--fault", type=Named(), metavar="NAME", help="Plant one; an unknown name lists all.")
@click.option(
    "--arm",
    type=click.Choice(["stable", "canary"]),
    default="canary",
    show_default=True,
    help="Where the fault is.",
)
@click.option(
    "--faster", type=FASTER, default=30.0, show_default=True, help="Declared seconds in one here."
)
@click.option(
    "--rate", type=RATE, default=300.0, show_default=True, help="Requests a second of both arms."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Of the stretch of traffic.",
)
@click.option(
    "--shadow",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Mirror requests to the candidate first, for so long.",
)
def rehearse(
    environment: str,
    fault: str | None,
    arm: Any,
    faster: float,
    rate: float,
    seed: int,
    shadow: float,
) -> None:
    """Rehearse this commit's rollout: two Bentos behind a real Envoy, the judge, the same steps.

    Exit status: 0 promoted, 1 aborted, 2 paused. With a fault in the canary 0 where it ends as it
    must, else 1.

    Example: preflight rehearse --fault errors
    """
    from preflight import workspace
    from preflight.rehearsal import rehearsed
    from preflight.rehearsal.timeline import Timeline, summary

    wanted = rehearsed.Wanted(environment, fault, arm, faster, rate, seed, shadow)
    found, place = rehearsed.of_checkout(workspace.root(), wanted, Timeline())
    click.echo(summary(found))
    click.echo(f"picture: {_near(place.with_suffix('.svg'))}", err=True)
    sys.exit(_status(found))


def _status(found: "Rehearsal") -> int:
    from preflight.rehearsal.faults import FAULTS

    if found.fault is None or found.faulty == "stable":  # a canary beside a bad stable may go on
        return ENDS.get(found.state, 2)
    return 0 if FAULTS[found.fault].ends(found.state) else 1


def _near(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
