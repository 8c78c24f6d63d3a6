"""Copies of a Bento for a rehearsal, with a fault beside the code."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preflight.files import replacing, write_json

PLANTED, SETTINGS = "planted.py", "planted.json"
SERVICE = Path("src/preflight/serving/service.py")
PLANT = "\nimport planted; planted.plant(ModelService)\n"


def copied(folder: Path, place: Path, plant: Mapping[str, Any]) -> Path:
    """A copy of a Bento with a fault beside its code; returns its folder.

    Files that stay are hard links. The Bento itself is not touched.
    """
    shutil.copytree(folder, place, copy_function=_linked, symlinks=True)
    shutil.copy(Path(__file__).with_name(PLANTED), place / "src" / PLANTED)
    write_json(place / "src" / SETTINGS, dict(plant))
    with replacing(place / SERVICE) as partial:
        partial.write_text((place / SERVICE).read_text() + PLANT)
    return place


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target
