"""Changes to a checkout, as a contributor would make them: edits of text and of parameters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from preflight import params

Change = Callable[[Path], None]


def edit(path: str, *pairs: tuple[str, str]) -> Change:
    """Replace texts in a file, each of which must be there."""

    def change(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        for old, new in pairs:
            if old not in text:
                raise AssertionError(f"{path} has no {old!r}: the planted change no longer fits")
            text = text.replace(old, new, 1)
        put(root / path, text)

    return change


def lay(**sections: Any) -> Change:
    """Lay keys over params.yaml."""

    def change(root: Path) -> None:
        merged = params.merge(params.read(root / "params.yaml"), sections)
        put(root / "params.yaml", yaml.safe_dump(merged, sort_keys=False))

    return change


def drop(section: str, gate: str, key: str) -> Change:
    """Take one key out of params.yaml."""

    def change(root: Path) -> None:
        raw = params.read(root / "params.yaml")
        del raw[section][gate][key]
        put(root / "params.yaml", yaml.safe_dump(raw, sort_keys=False))

    return change


def write(path: str, text: str) -> Change:
    """Write a whole file."""

    def change(root: Path) -> None:
        put(root / path, text)

    return change


def remove(*paths: str) -> Change:
    """Delete files."""

    def change(root: Path) -> None:
        for path in paths:
            (root / path).unlink()

    return change


def append(path: str, text: str) -> Change:
    """Add lines at the end of a file."""

    def change(root: Path) -> None:
        put(root / path, (root / path).read_text(encoding="utf-8") + text)

    return change


def both(*changes: Change) -> Change:
    """Several changes, one after another."""

    def change(root: Path) -> None:
        for each in changes:
            each(root)

    return change


def put(path: Path, text: str) -> None:
    """Replace a file; never in place, since trials share their files by hard links."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
