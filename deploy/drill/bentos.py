"""Copies of this commit's Bento: `honest`, and `errors` with the rehearsal's fault of that name."""

import shutil
import sys
from pathlib import Path

from preflight import bento
from preflight.rehearsal import copies
from preflight.rehearsal.faults import FAULTS

place = Path(sys.argv[1])
shutil.rmtree(place, ignore_errors=True)
folder = bento.build(Path.cwd())
shutil.copytree(folder, place / "honest", symlinks=True)
copies.copied(folder, place / "errors", FAULTS["errors"].plant or {})
