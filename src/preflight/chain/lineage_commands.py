"""Commands that answer from Git and the log what a prediction, a version or data has led to."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from preflight.watch.commands import HELP, folder

JSON = click.option("--json", "as_json", is_flag=True, help="JSON, with all that is known.")


@click.command(context_settings=HELP)
@click.argument("prediction_id", metavar="ID")
@click.option(
    "--log",
    "place",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The log's folder; now PREFLIGHT_LOG, or .preflight/serving/log.",
)
@click.option("--env", "environment", metavar="NAME", help="Where it was made, if you know.")
@JSON
def trace(prediction_id: str, place: Path | None, environment: str | None, as_json: bool) -> None:
    """Name every link behind a prediction: why, model, release, evidence, commit and data.

    Exit status: 0 all links fit, 1 some do not, which are named last.

    Example: preflight trace 019a9e0c-7a10-7cc2-b1f5-3a1e4d5b6c7d --env production
    """
    from preflight import workspace
    from preflight.chain import sections
    from preflight.chain import trace as tracing

    found = tracing.trace(workspace.root(), place or folder(), prediction_id, environment)
    click.echo(_json(tracing.plain(found)) if as_json else sections.shown(found))
    sys.exit(1 if found.odd else 0)


@click.command(context_settings=HELP)
@click.argument("version")
def audit(version: str) -> None:
    """Print a released version's page for an auditor, in Markdown, with what changed before it.

    VERSION is the registry's, or a release id. It needs Git alone.

    Example: preflight audit 3 > audit-3.md
    """
    from preflight import workspace
    from preflight.chain import audit as auditing

    click.echo(auditing.audit(workspace.root(), version), nl=False)


@click.command("models-using", context_settings=HELP)
@click.argument("data_hash")
@JSON
def models_using(data_hash: str, as_json: bool) -> None:
    """Name the models made with some data, and where they answer: for data that must go.

    DATA_HASH is an MD5 of dvc.lock, 7 of its digits or more, or a path like
    data/raw/2021-02.parquet. It needs Git alone.

    Example: preflight models-using e115ae6
    """
    from preflight import workspace
    from preflight.chain import using

    found = using.using(workspace.root(), data_hash)
    click.echo(_json(using.plain(found)) if as_json else using.shown(found))


def _json(plain: dict[str, Any]) -> str:
    return json.dumps(plain, indent=2, ensure_ascii=True, default=_told)


def _told(value: Any) -> str:
    """Times as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
