"""The generated parts of docs/: from the contract, the parameters and the commands."""

import inspect
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel

from preflight import evidence, params, risk
from preflight import project as seam
from preflight.contract import Column, Contract
from preflight.errors import Problem
from preflight.gates import limits
from preflight.log.schema import FIELDS, Stream
from preflight.model_card import page as card
from preflight.rollout import limits as rollout
from preflight.serving import logs, metrics
from preflight.serving.requests import expectation


def write(root: Path) -> list[Path]:
    """Bring every generated part of docs/ up to date; returns the pages that changed."""
    changed = []
    for name, (page, make) in PARTS.items():
        path = root / "docs" / page
        text = path.read_text(encoding="utf-8")
        new = replaced(text, name, make(root), str(path))
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    for path, text in (schema(root), card.page(root)):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def replaced(text: str, name: str, body: str, where: str) -> str:
    """A page with the part between its two marker lines replaced."""
    start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->\n"
    if start not in text or end not in text:
        raise Problem(where, "no marker", f"lines {start!r} and {end!r}", "Put them back.")
    before, rest = text.split(start, 1)
    return before + start + "\n" + body + "\n" + end + rest.split(end, 1)[1]


def _contract(root: Path) -> str:
    contract = seam.contract(params.load(root / "params.yaml").project)
    header = [
        f"Contract `{contract.name}`, version {contract.version}; "
        f"slices: {', '.join(contract.slices)}.",
        "",
        "| column | what | values | may lack | known when asked | role |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*header, *(_row(contract, column) for column in contract.columns)]) + "\n"


def _row(contract: Contract, column: Column) -> str:
    role = column.role + (", sensitive" if column.sensitive else "")
    role += ", part of the identity" if column.name in contract.identity else ""
    nullable, known = ("yes" if flag else "no" for flag in (column.nullable, column.known))
    cells = (f"`{column.name}`", column.description, expectation(column), nullable, known, role)
    return "| " + " | ".join(cells) + " |"


def _params(root: Path) -> str:
    """One table a section: key, type, value."""
    loaded = params.load(root / "params.yaml")
    lines = [f"`project`: the package under src/ that is served, `{loaded.project}`.", ""]
    for name, value in loaded:
        if isinstance(value, BaseModel):
            lines += _section(name.rstrip("_"), value)
    lines += _section("risk", risk.load(root / "params.yaml"))
    lines += _section("rollout", rollout.load(root / "params.yaml"))
    return "\n".join([*lines, *_section("gates", limits.load(root / "params.yaml"))])


def _section(name: str, section: BaseModel) -> list[str]:
    lines = [
        f"### {name}",
        "",
        inspect.cleandoc(section.__doc__ or ""),
        "",
        "| key | type | value |",
        "|---|---|---|",
    ]
    if all(isinstance(value, BaseModel) for _, value in section):
        lines = lines[:4]
    later: list[str] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            later += _section(f"{name}.{key}", value)
        else:
            lines.append(f"| `{key}` | {_kind(field.annotation)} | `{_plain(value)}` |")
    return [*lines, "", *later]


def _kind(annotation: Any) -> str:
    simple = {str: "text", int: "whole number", float: "number", date: "date"}
    simple[bool] = "true or false"
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        *most, last = get_args(annotation)
        return " or ".join(filter(None, (", ".join(most), last)))
    if get_origin(annotation) in (Union, UnionType):
        (inner,) = (kind for kind in get_args(annotation) if kind is not NoneType)
        return f"{_kind(inner)} or null"
    return simple.get(annotation, "names and values" if get_origin(annotation) is dict else "list")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        named = params.flat(value).items()
        return ", ".join(f"{key}: {_plain(each)}" for key, each in named) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _commands(_: Path) -> str:
    from preflight.cli import main

    context = click.Context(main, info_name="preflight", **main.context_settings)
    return "\n".join(_helps(main, context, ""))


def _helps(group: click.Group, context: click.Context, before: str) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101
        inner = click.Context(command, context, info_name=name, terminal_width=90)
        if isinstance(command, click.Group):
            yield from _helps(command, inner, f"{name} ")
        else:
            yield f"## {before}{name}\n\n```text\n{command.get_help(inner)}\n```\n"


def _metrics(_: Path) -> str:
    """One row a metric, under the names that Prometheus reads."""
    suffix = {"counter": "_total", "histogram": "_bucket, _sum, _count", "gauge": ""}
    lines = ["| name | labels | what |", "|---|---|---|"]
    for row in metrics.TABLE:
        labels = [f"`{name}`" for name in row.labels]
        labels += ["`le`"] if row.kind == "histogram" else []
        labels += ["`pid`"] if row.name in metrics.PER_WORKER else []
        name = f"`{row.name}{suffix[row.kind]}`"
        lines.append(f"| {name} | {', '.join(labels)} | {row.what} |")
    return "\n".join(lines) + "\n"


def _records(stream: Stream) -> str:
    """One row a field of a stream of the log."""
    lines = ["| field | type | what |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.type} | {each.what} |" for each in FIELDS[stream]]
    return "\n".join(lines) + "\n"


def _messages(_: Path) -> str:
    """Fields and levels of the service's own log."""
    parts = []
    for head, table in (("level | it means", logs.LEVELS), ("field | what", logs.FIELDS)):
        rows = [f"| `{name}` | {what} |" for name, what in table.items()]
        parts.append("\n".join([f"| {head} |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def schema(root: Path) -> tuple[Path, str]:
    """The evidence's JSON schema: where it stands, and its text."""
    text = json.dumps(evidence.schema(), indent=2, sort_keys=True) + "\n"
    return root / "docs" / "evidence.schema.json", text


PARTS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "contract": ("data.md", _contract),
    "params": ("params.md", _params),
    "commands": ("cli.md", _commands),
    "metrics": ("serving.md", _metrics),
    "predictions": ("log.md", lambda _: _records("predictions")),
    "outcomes": ("log.md", lambda _: _records("outcomes")),
    "messages": ("log.md", _messages),
}
