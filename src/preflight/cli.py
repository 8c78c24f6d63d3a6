"""The `preflight` command."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from preflight import params, workspace
from preflight.chain import lineage_commands, verify_commands
from preflight.delivery import commands as delivery
from preflight.deploy import commands as deploys
from preflight.deploy import rollback_commands
from preflight.errors import NoData, Problem
from preflight.images import commands as images
from preflight.layout import METRICS, STATE
from preflight.model_card import commands as cards
from preflight.pull_request import measured_commands
from preflight.rehearsal import commands as rehearsals
from preflight.rollout import commands as rollouts
from preflight.rollout import log_commands, probation_commands
from preflight.watch import commands
from preflight.workspace import QUIET


class Commands(click.Group):
    """Commands whose mistakes end in one line: exit status 1, or 2 where data is missing."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except Problem as problem:
            click.echo(f"error: {problem}", err=True)
            sys.exit(2 if isinstance(problem, NoData) else 1)
        except PermissionError as error:
            found = f"{error.filename}: found no right to it; expected one to read, or to write"
            click.echo(f"error: {found}. Run this as the user whose it is.", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("\ninterrupted: nothing half-written stays", err=True)
            sys.exit(130)
        except Exception as error:
            if (said := _unread(error)) is None:
                raise
            click.echo(f"error: {said}", err=True)
            sys.exit(1)


def _stop(number: int, _: object) -> None:
    """End as by Ctrl-C: else nothing that a command has started would end with it."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # a second one would break off what the first ends
    sys.exit(128 + number)


def _unread(error: Exception) -> str | None:
    """What the log's engine says of a file that it cannot read; None for another error."""
    engine = sys.modules.get("duckdb")  # without it nothing was read
    if engine is None or not isinstance(error, engine.Error):
        return None
    said = " ".join(str(error).split())[:300]
    remedy = "Move the file that is named aside: docs/runbook.md, torn and damaged."
    return f"the log: found {said}; expected files that can be read. {remedy}"


@click.group(cls=Commands, context_settings=commands.HELP)
def main() -> None:
    """Take a model to production through Git alone.

    Exit status: 0 pass, 1 fail, 2 no data.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ.update(QUIET)
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup means it
            signal.signal(each, _stop)
    os.environ["PATH"] = workspace.environment(Path.cwd())["PATH"]


@main.command()
def demo() -> None:
    """Go the whole way in a scratch clone, and show what happened.

    Example: TLC_DIR=../months MONTHS=2021-01..2021-03 preflight demo
    """
    from preflight.demo import demo

    demo(workspace.root())


@main.command()
@click.option(
    "--profile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file whose keys are laid over params.yaml.",
)
def repro(profile: Path | None) -> None:
    """Run the pipeline's changed stages, and bring the model card up to date.

    With a profile it runs in a scratch clone of HEAD, and leaves the card.

    Example: preflight repro --profile tests/benchmark/published.yaml
    """
    place = workspace.root()
    params.load(place / "params.yaml", profile)
    if profile:
        scratch = place / STATE / "profiles" / profile.stem
        workspace.clone(place, scratch, profile.resolve(), share_cache=True)
        place = scratch
    done = subprocess.run(
        ("dvc", "repro"), cwd=place, env=workspace.environment(place), check=False
    )
    if done.returncode:
        raise Problem("dvc repro", "a failed stage", "success", "Mend what the stage names above.")
    if not profile:
        from preflight.model_card import page

        page.write(place)  # it shows the metrics
    click.echo(f"results: {place / METRICS}", err=True)


@main.command()
def restore() -> None:
    """Bring this commit's data and model: pull them, else reproduce them."""
    from preflight.restore import restore

    restore(workspace.root())


@main.command()
@click.argument("only", nargs=-1)
def gates(only: tuple[str, ...]) -> None:
    """Judge this commit's model against the champion; all gates, or those named.

    Example: preflight gates quality slices
    """
    from preflight.evidence import EXIT
    from preflight.gates.trusted import gates

    sys.exit(EXIT[gates(workspace.root(), only)])


@main.command()
@click.argument("base")
def bench_compare(base: str) -> None:
    """Compare this commit's times with another commit's; exits by the benchmark gate's verdict.

    Example: preflight bench-compare v1.2
    """
    from preflight.evidence import EXIT
    from preflight.gates.run import against

    sys.exit(EXIT[against(workspace.root(), base, "benchmark")])


@main.command()
@click.option("--run", is_flag=True, help="First run what has left no evidence for this commit.")
def report(run: bool) -> None:
    """Write reports/report.md and report.html from this commit's evidence; exit by its verdict."""
    from preflight.evidence import EXIT
    from preflight.report.write import run_missing, write

    place = workspace.root()
    if run:
        run_missing(place)
    sys.exit(EXIT[write(place)])


@main.command()
def coverage() -> None:
    """Leave evidence of the tests' coverage from reports/coverage.json; `make test` calls it."""
    from preflight.report.write import coverage

    coverage(workspace.root())


@main.command()
def register() -> None:
    """Put this commit's model into the registry, once, if its evaluation meets the limits."""
    from preflight.registry import register

    click.echo(register(workspace.root()))


@main.command()
@click.argument("versions", nargs=-1, required=True)
def model_info(versions: tuple[str, ...]) -> None:
    """Print how, when and from what versions were made; several stand one after another.

    Example: preflight model-info 3
    """
    import yaml

    from preflight.registry import info

    found = [info(workspace.root(), version) for version in versions]
    click.echo(yaml.safe_dump_all(found, sort_keys=False, allow_unicode=True), nl=False)


@main.command()
def bento() -> None:
    """Build the Bento of this commit's registered model, and print its folder."""
    from preflight.bento import build

    click.echo(build(workspace.root()))


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@click.option("--auth", type=click.Choice(["keys", "off"]), default="keys", show_default=True)
def serve(port: int, auth: str) -> None:
    """Serve this commit's model on the loopback, after what is missing: restore, register, bento.

    Example: preflight serve --auth off
    """
    from preflight.bento import bare, build, command, remembering, require_free
    from preflight.registry import register
    from preflight.restore import restore
    from preflight.serving.keys import place as keys_place
    from preflight.serving.sinks import PLACE
    from preflight.serving.switches import at_home

    place = workspace.root()
    require_free(port)
    restore(place)
    register(place)
    serving = command(place, build(place), port)
    # Each port has switches and counts of its own: BentoML clears those of its home at the start.
    own = place / STATE / "serving" / str(port)
    switched = at_home(own / "switches.yaml", auth)
    variables = bare(workspace.environment(place)) | {
        "BENTOML_HOME": str(own / "bentoml"),
        "PREFLIGHT_SWITCHES": str(switched),
        "PREFLIGHT_KEYS": str((place / keys_place()).resolve()),
        **remembering(place),
    }
    if auth == "off":
        click.echo("auth: off, so anybody on this machine is answered, and nobody else", err=True)
    click.echo(f"switches, read every second: {switched}", err=True)
    click.echo(f"log of predictions and outcomes: {variables[PLACE]}", err=True)
    os.execve(serving[0], serving, variables)  # noqa: S606 (a list, no shell)


@main.group()
def keys() -> None:
    """Keys of the service's clients; in PREFLIGHT_KEYS, or .preflight/serving/keys.json."""


@keys.command("add")
@click.argument("client")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(["predict", "outcomes", "admin"])
)
@click.option("--rate", type=click.FloatRange(min=1), help="Requests a second.")
def keys_add(client: str, scopes: tuple[Any, ...], rate: float | None) -> None:
    """Make a key and print it, once: only its hash is kept. Its scope is predict, or those given.

    Example: preflight keys add dispatch --scope predict --scope outcomes
    """
    from preflight.serving import keys

    click.echo(keys.add(keys.place(), client, scopes or ("predict",), rate))
    click.echo("it is shown this once; running services know it within seconds", err=True)


@keys.command("list")
def keys_list() -> None:
    """Print each key's id, client, scopes, date and cap."""
    from preflight.serving import keys

    found = keys.listed(keys.place())
    click.echo(f"{len(found)} keys in {keys.place()}", err=True)
    for key in found:
        rate = f"{key.rate:g}/s" if key.rate else "-"
        click.echo(f"{key.id}  {key.client:<20}  {','.join(key.scopes):<24}  {key.created}  {rate}")


@keys.command("revoke")
@click.argument("id")
def keys_revoke(id: str) -> None:
    """Take a key back; running services refuse it within seconds.

    Example: preflight keys revoke 3f9ac01b77de
    """
    from preflight.serving import keys

    gone = keys.revoke(keys.place(), id)
    click.echo(f"revoked {gone.id} of {gone.client}", err=True)


for each in (
    *(commands.log, commands.outcomes, commands.explain, commands.replay, commands.triage),
    *(rollouts.plan_rollout, rollouts.watch_rollout, rollouts.judge),
    *(log_commands.judge_shadow, log_commands.compare_groups, rehearsals.rehearse),
    *(deploys.lint_deploy, deploys.render),
    *(rollback_commands.rollback, probation_commands.probation),
    *(delivery.release, delivery.package, images.publish, delivery.stage, delivery.settle),
    *(delivery.promote, delivery.land, delivery.bot_commits, measured_commands.measured),
    *(verify_commands.verify, lineage_commands.trace, lineage_commands.audit),
    *(lineage_commands.models_using, cards.card),
):
    main.add_command(each)


PROBES = Path(".preflight/serving/probes.jsonl")
SECONDS = click.FloatRange(min=0, min_open=True)
EVERY = click.option(
    "--every", type=SECONDS, default=60.0, show_default=True, help="Seconds between probes."
)


@main.command()
@click.argument("address")
@EVERY
@click.option("--times", type=int, help="How many; without it, until it is stopped.")
@click.option("--log", type=click.Path(path_type=Path), default=PROBES, show_default=True)
def probe(address: str, every: float, times: int | None, log: Path) -> None:
    """Ask a service again and again whether it is ready; each answer is kept.

    Example: preflight probe http://127.0.0.1:3000
    """
    from itertools import count

    from preflight.watch import probes

    for place in count(1):
        found = probes.probe(address)
        probes.record(found, log)
        click.echo(f"{found.at} {found.found} {found.seconds:.3f} s")
        if place == times:
            return
        time.sleep(every)


@main.command()
@EVERY
@click.option("--log", type=click.Path(path_type=Path), default=PROBES, show_default=True)
def uptime(every: float, log: Path) -> None:
    """Print the share of time in which a service was ready, by the log of its probes."""
    from preflight.watch import probes

    found = probes.uptime(probes.read(log), every)
    click.echo(
        f"{found.up:.2%} up by {found.probes} probes; {found.unknown:.1%} of the time unknown; "
        f"down for {found.longest_down} at most"
    )


@main.command()
def lint() -> None:
    """Run every hook over all files; a committed tree leaves evidence of each.

    Example: preflight lint
    """
    from preflight.evidence import EXIT
    from preflight.linted import lint

    sys.exit(EXIT[lint(workspace.root())])


@main.command()
def comment() -> None:
    """Post a finished run's report on its pull request, with this code; for report.yml.

    Reads GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_API_URL and RUN_ID from the environment.
    """
    from preflight.pull_request.comment import comment

    comment(workspace.root(), os.environ)


@main.command()
@click.argument("repository", metavar="OWNER/REPO")
@click.option("--bot", type=int, metavar="APP_ID", help="The GitHub App that may bypass it.")
def ruleset(repository: str, bot: int | None) -> None:
    """Apply .github/rulesets/main.json to a repository on GitHub, with GITHUB_TOKEN.

    Example: preflight ruleset team/model
    """
    from preflight.ruleset import apply

    click.echo(apply(workspace.root(), repository, os.environ, bot))


@main.command()
def docs() -> None:
    """Write the generated parts of docs/ anew: contract, parameters, commands."""
    from preflight.docs import write

    for path in write(workspace.root()):
        click.echo(path)
