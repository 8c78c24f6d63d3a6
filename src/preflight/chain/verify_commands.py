"""The command that walks the chain of a release."""

import json
import sys
from pathlib import Path

import click

from preflight.watch.commands import HELP


@click.command(context_settings=HELP)
@click.argument("asked", metavar="ENV|COMMIT|BENTO|IMAGE")
@click.option("--server", metavar="ADDRESS", help="Also ask this running service's /version.")
@click.option(
    "--key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(asked: str, server: str | None, key_file: Path | None, as_json: bool) -> None:
    """Compare name, version and hash at each link of a release's chain.

    A COMMIT is asked for data, model and registry; a BENTO (tag or folder) also for itself; an
    IMAGE (digest, tag or folder) also for its labels, the model in it and its tag; an ENV for all,
    with --server what runs too. The model link needs the commit's own tree.

    Exit status: 0 all that was asked holds, 1 a link differs, 2 one is absent.

    Example: preflight verify production
    """
    from preflight import workspace
    from preflight.chain import links
    from preflight.chain.verify import verify
    from preflight.chain.walk import Service

    key = key_file.read_text(encoding="utf-8").strip() if key_file else None
    found = verify(workspace.root(), asked, Service(server, key) if server else None)
    status = links.worst(found)
    if as_json:
        plain = {"asked": asked, "status": status, "links": [each.plain() for each in found]}
        click.echo(json.dumps(plain, indent=2))
    else:
        for line in links.lines(found):
            click.echo(line)
        click.echo(links.verdict(found, asked))
    sys.exit(links.EXIT[status])
