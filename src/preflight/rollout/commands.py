"""Commands over rollouts: the plan before, the watcher during, and the judge's verdict."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from preflight.errors import NoData, Problem
from preflight.watch.commands import HELP, TIME

if TYPE_CHECKING:
    from preflight.rollout.sources import Found
    from preflight.rollout.verdict import Verdict

Read = Callable[[float], "Found"]  # by seconds since 1970
STATUS = {"promote": 0, "abort": 1, "continue": 2}
FOLDER = click.Path(path_type=Path, file_okay=False)


class Above0(click.FloatRange):
    """A number above 0, which neither nan nor inf is."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """As a float."""
        found: float = super().convert(value, param, ctx)
        if not isfinite(found):
            self.fail(f"{value} is no number.", param, ctx)
        return found


SECONDS = Above0(min=0, min_open=True)
CLUSTERS = click.option(
    "--clusters",
    nargs=2,
    default=("stable", "canary"),
    metavar="NAME NAME",
    help="Envoy's of both arms; now stable canary.",
)


@click.command("plan-rollout", context_settings=HELP)
@click.option("--rate", type=SECONDS, required=True, help="Requests a second of both arms.")
@click.option(
    "--step", "steps", multiple=True, required=True, metavar="WEIGHT:TIME", help="As 5%:10m; again."
)
@click.option(
    "--base", multiple=True, metavar="SHARE", help="Of a healthy arm: errors=0.2%; again."
)
@click.option(
    "--clump",
    type=click.FloatRange(min=1),
    default=1.0,
    help="Failures that one entity has at once, in the mean; now 1.",
)
def plan_rollout(rate: float, steps: tuple[str, ...], base: tuple[str, ...], clump: float) -> None:
    """Say how long a rollout will take and what it can detect; fail where it cannot decide.

    Example: preflight plan-rollout --rate 20 --step 5%:10m --step 25%:10m --step 50%:20m
    """
    from preflight import workspace
    from preflight.rollout import limits, plan, planned

    made = planned.read(rate, steps, base, clump)
    click.echo("simulating rollouts …", err=True)
    found = plan.forecast(made, limits.load(workspace.root() / "params.yaml"))
    click.echo(planned.text(found))
    if not found.decides:
        raise plan.undecidable(found)


@click.command("watch-rollout", context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--stable", multiple=True, required=True, metavar="ADDRESS", help="Of an instance.")
@click.option("--canary", multiple=True, required=True, metavar="ADDRESS", help="Of an instance.")
@click.option("--envoy", metavar="ADDRESS", help="Of the proxy's admin page.")
@CLUSTERS
@click.option("--every", type=SECONDS, default=5.0, help="Seconds between readings; now 5.")
def watch_rollout(
    file: Path,
    stable: tuple[str, ...],
    canary: tuple[str, ...],
    envoy: str | None,
    clusters: tuple[str, str],
    every: float,
) -> None:
    """Read both arms' metrics into a file for the judge, until Ctrl-C; for where no Prometheus is.

    Example: preflight watch-rollout rollout.jsonl --stable http://127.0.0.1:3000 --canary
    http://127.0.0.1:3001 --envoy http://127.0.0.1:9901
    """
    from threading import Event

    from preflight.rollout.counting import clock
    from preflight.rollout.observed import ARMS
    from preflight.rollout.watcher import Targets, watch

    if {each.rstrip("/") for each in stable} & {each.rstrip("/") for each in canary}:
        raise click.UsageError("An address is of one arm: --stable and --canary have it in common.")
    arms, named = (
        dict(zip(ARMS, (stable, canary), strict=True)),
        dict(zip(ARMS, clusters, strict=True)),
    )
    for found in watch(Targets(arms, envoy, named), file, every, Event()):
        silent = [each for each in (*found.readings, *found.proxies) if each.values is None]
        told = "; ".join(f"{each.arm} {each.instance}: {each.reason}" for each in silent)
        click.echo(f"{clock(found.at)} {told or 'all read'}", err=True)


@click.command(context_settings=HELP)
@click.option("--history", type=click.Path(path_type=Path), help="A watcher's file of scrapes.")
@click.option("--prometheus", metavar="ADDRESS", help="Instead of a file, a Prometheus server.")
@click.option("--stable", metavar="SELECTOR", help='Of its pods there, as app="a",arm="stable".')
@click.option("--canary", metavar="SELECTOR", help="Of the canary's pods.")
@click.option("--envoy", metavar="SELECTOR", help="Of the proxies; without it none is promoted.")
@CLUSTERS
@click.option("--interval", type=SECONDS, default=15.0, help="Seconds between its scrapes; now 15.")
@click.option("--log", "logged", type=FOLDER, help="Judge model error too, by a log's outcomes.")
@click.option(
    "--started", type=TIME, metavar="TIME", help="UTC; without it, when the canary was first seen."
)
@click.option("--every", type=SECONDS, metavar="SECONDS", help="Judge again until it is decided.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON.")
def judge(
    history: Path | None,
    prometheus: str | None,
    stable: str | None,
    canary: str | None,
    envoy: str | None,
    clusters: tuple[str, str],
    interval: float,
    logged: Path | None,
    started: datetime | None,
    every: float | None,
    as_json: bool,
) -> None:
    """Say whether a rollout may go on, by all that both arms did since it began.

    Exit status: 0 promote, 1 abort, 2 continue, also where nothing can be read.

    Example: preflight judge --history rollout.jsonl --every 10
    """
    begun = started.replace(tzinfo=UTC).timestamp() if started else None
    selectors = (stable, canary) if stable and canary else None
    if (history is None) == (prometheus is None) or (prometheus and not selectors):
        raise click.UsageError("Name a file by --history; or --prometheus, --stable and --canary.")
    with seeing():
        if prometheus and selectors:
            read = _of_prometheus(prometheus, selectors, interval, envoy, clusters, begun)
        else:
            read = _of_file(cast(Path, history), begun)
        look = _looking(read, logged)
        found = followed(look, every, as_json=as_json) if every else look()
    if not every:
        printed(found, as_json=as_json)
    sys.exit(STATUS[found.result])


@contextmanager
def seeing() -> Iterator[None]:
    """Whatever keeps a judge from seeing is no data: exit status 1 is said of a canary alone."""
    try:
        yield
    except Problem as problem:
        raise NoData(problem.where, problem.found, problem.expected, problem.remedy) from None
    except click.ClickException:
        raise
    except Exception as error:  # a mistake of ours, or a file that is odd: nothing the canary did
        found = f"{type(error).__name__}: {error}"
        raise NoData(
            "the judge", found, "a verdict", "Mend what it names, or report it."
        ) from error


def _of_file(file: Path, started: float | None) -> Read:
    from preflight.rollout import sources

    return lambda _: sources.of_file(file, started)


def _of_prometheus(
    address: str,
    selectors: tuple[str, str],
    interval: float,
    envoy: str | None,
    clusters: tuple[str, str],
    started: float | None,
) -> Read:
    from preflight import workspace
    from preflight.rollout import limits, sources
    from preflight.rollout.observed import ARMS
    from preflight.rollout.prometheus import Server

    arms, named = (dict(zip(ARMS, each, strict=True)) for each in (selectors, clusters))
    slow = limits.load(workspace.root() / "params.yaml").max_seconds
    server = Server(address, arms, interval, envoy=envoy, clusters=named, slow=slow)
    return lambda now: sources.of_prometheus(server, now, started)


def _looking(read: Read, logged: Path | None) -> "Callable[[], Verdict]":
    """What judges all that can be read by now; model error too, where there is a log."""
    from preflight import params, workspace
    from preflight.rollout import limits, sources

    file = workspace.root() / "params.yaml"
    declared = limits.load(file)

    def look() -> "Verdict":
        now = time.time()
        seen = read(now)
        if logged is not None:
            from preflight.rollout.matured import matured  # with it comes the log's engine

            seen = matured(seen, logged, params.load(file), declared)
        return sources.verdict(seen, declared, now)

    return look


def followed(look: Callable[[], "Verdict"], every: float, *, as_json: bool = False) -> "Verdict":
    """Look each `every` seconds until it is decided, and return the decision.

    A terminal shows each verdict in the place of the last; a log has a line for each change. The
    first look raises what is wrong; a later one that fails is told, and the next is taken.
    """
    from preflight.rollout.sources import unseen

    tell = _printed_anew if _terminal() and not as_json else partial(_told, as_json=as_json)
    found, before = look(), None
    while True:
        tell(found, before)
        if found.result != "continue":
            return found
        before = found
        time.sleep(every)
        try:
            found = look()
        except Problem as problem:
            found = unseen(problem)


def _printed_anew(found: "Verdict", _: "Verdict | None") -> None:
    click.clear()
    printed(found)


def _told(found: "Verdict", before: "Verdict | None", *, as_json: bool) -> None:
    from preflight.rollout.show import brief, changed, line

    if changed(before, found):
        click.echo(line(found) if as_json else brief(found, time.time()))


def printed(found: "Verdict", *, as_json: bool = False) -> None:
    """Print a verdict, as the place it goes to can show it."""
    from preflight.rollout.show import encodes, line, shown

    if as_json:
        click.echo(line(found))
        return
    colour = _terminal() and not os.environ.get("NO_COLOR")
    click.echo(shown(found, colour=colour, blocks=encodes(sys.stdout.encoding)), color=colour)


def _terminal() -> bool:
    return sys.stdout.isatty()
