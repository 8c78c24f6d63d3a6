"""What a service has left in its log, and services under other contracts than the example's."""

import base64
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asked import loaded
from preflight import predictor, project
from preflight.contract import Contract
from preflight.layout import LOG
from preflight.log.schema import Stream
from preflight.serving.app import ModelService

Loaded = tuple[ModelService, str]


def segments(state: Path, stream: Stream) -> list[Path]:
    """The segments of a service that logs below `state`, in the order of their names."""
    return sorted((state / LOG / stream).glob("*.jsonl"))


def records(state: Path, stream: Stream = "predictions") -> list[dict[str, Any]]:
    """All records of a stream, each line of which must be whole."""
    texts = [path.read_text() for path in segments(state, stream)]
    assert all(text.endswith("\n") for text in texts if text)
    return [json.loads(line) for text in texts for line in text.splitlines()]


def told(output: str) -> list[dict[str, Any]]:
    """Lines of standard output, each of which must be one of the service's own."""
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def varied(
    built: Path, scratch: Path, contract: Contract, patch: pytest.MonkeyPatch
) -> Iterator[Loaded]:
    """A service of the small repository's model under another contract; it logs in `scratch`."""
    patch.setattr(project, "contract", lambda _: contract)
    root = scratch / "root"
    (root / "models").mkdir(parents=True)
    shutil.copy(built / "params.yaml", root)
    shutil.copytree(built / "models/packaged", root / "models/packaged")
    (root / "models/packaged" / predictor.MANIFEST).unlink()
    (root / "models/packaged/contract.json").unlink()
    predictor.pack(root / "models/packaged", "taxi")
    with loaded(root, scratch) as found:
        yield found


def forms(secret: str) -> set[bytes]:
    """A secret as a text, a JSON document, a Python error or a coded header would carry it."""
    plain = secret.encode()
    texts = {secret, repr(secret)[1:-1], ascii(secret)[1:-1]}
    texts |= {json.dumps(secret, ensure_ascii=kind)[1:-1] for kind in (True, False)}
    return {text.encode() for text in texts} | {
        plain.hex().encode(),
        base64.b64encode(plain).rstrip(b"="),
    }


def found_in(places: Iterable[tuple[str, bytes]], secrets: dict[str, str]) -> set[tuple[str, str]]:
    """Which secrets stand in which places, of which each has a name and its bytes."""
    coded = {name: forms(secret) for name, secret in secrets.items()}
    return {
        (name, place)
        for place, content in places
        for name, texts in coded.items()
        if any(text in content for text in texts)
    }


def files(folder: Path) -> list[tuple[str, bytes]]:
    """Every file below a folder, hidden ones too, by its name there."""
    return [
        (path.relative_to(folder).as_posix(), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
