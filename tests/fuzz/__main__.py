"""`make fuzz`: ask this tree's model so many generated requests; exit 1 when an answer is wrong."""

import json
import logging
import os
import secrets
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from asked import ask, inner, loaded
from fuzz import campaign
from fuzz.oracle import Oracle
from preflight import params, project
from preflight.errors import Problem
from preflight.serving.app import Front

ROOT = Path(__file__).resolve().parents[2]


@click.command()
@click.argument("count", type=click.IntRange(min=1), default=100_000)
@click.option("--seed", type=int, help="Ask the same again that a run with this seed asked.")
def main(count: int, seed: int | None) -> None:
    """Ask COUNT generated requests of the service in this process, and judge each answer."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.pop("PREFLIGHT_SWITCHES", None)
    seed = secrets.randbelow(2**32) if seed is None else seed
    tell = partial(click.echo, err=True)
    tell(f"fuzz: {count} requests, seed {seed}")
    start = time.monotonic()
    try:
        found = _run(count, seed, tell)
    except Problem as problem:
        raise click.ClickException(f"{problem}\nRun `make restore` first.") from None
    click.echo(found.text())
    click.echo(f"seed {seed}, {time.monotonic() - start:.0f} s")
    sys.exit(1 if found.wrong else 0)


def _run(count: int, seed: int, tell: campaign.Tell) -> campaign.Findings:
    contract = project.contract(params.load(ROOT / "params.yaml").project)
    with TemporaryDirectory() as folder, loaded(ROOT, Path(folder)) as (service, key):
        document = json.loads(ask(service, "GET", "/openapi.json").content)
        oracle = Oracle(service, document)
        return campaign.run(Front(inner, service), oracle, contract, key, count, seed, tell)


if __name__ == "__main__":
    main()
