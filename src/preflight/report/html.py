"""Evidence as one HTML page that asks nothing of anybody: no request, no script."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from preflight.evidence import Part, digest
from preflight.report import numbers, plots, summary
from preflight.report.escape import visible

SHAPES = {"pass": "✓", "fail": "✕", "no-data": "?"}


def render(parts: Sequence[Part], commit: str) -> str:
    """The whole page; every value of the evidence passes through Jinja's escaping."""
    page = _environment().get_template("page.html")
    return page.render(
        parts=parts,
        commit=commit,
        verdict=summary.verdict(parts),
        digest=digest(parts),
        seconds=sum(part.seconds for part in parts),
        dark=[part for part in parts if part.status != "pass"],
        green=[part for part in parts if part.status == "pass"],
    )


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    found.globals.update(summary=summary, numbers=numbers, plots=plots, shapes=SHAPES)
    return found


def _shown(value: Any) -> Any:
    """What is about to be written: unseen characters of evidence become seen."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
