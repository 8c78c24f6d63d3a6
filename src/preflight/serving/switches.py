"""Switches: how the service answers, and what must be off in what is packaged."""

import ipaddress
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import yaml
from pydantic import ValidationError
from pydantic_core import to_json

from preflight import params
from preflight.errors import Problem
from preflight.files import replacing
from preflight.params import Serving, Switches
from preflight.serving import hashing, sinks

FILE = "PREFLIGHT_SWITCHES"
KNOWN = {FILE, "PREFLIGHT_KEYS", sinks.PLACE, hashing.NAME}
LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_\w+)$")  # Kubernetes' own
DEBUG = {  # with what leaves each off; Python takes any text as on
    "BENTOML_DEBUG": {"", "0", "false"},
    "PYTHONASYNCIODEBUG": {""},
    "PYTHONDEVMODE": {""},
}


def path() -> Path | None:
    """The file that PREFLIGHT_SWITCHES names, if it does."""
    found = os.environ.get(FILE)
    return Path(found) if found else None


def read(declared: Serving, file: Path) -> Switches:
    """A file's keys laid over the declared ones; raises Problem that names the offending key."""
    raw = params.read(file)
    below = declared.model_dump(include=set(Switches.model_fields))
    try:
        return Switches.model_validate_json(to_json(params.merge(below, raw)))
    except ValidationError as error:
        raise params.problem(str(file), error, Switches) from None


def at_home(file: Path, auth: str) -> Path:
    """The switches of a service on this machine: the file's own, with `auth` as it is asked for."""
    kept = params.read(file) if file.exists() else {"mode": "normal"}
    with replacing(file) as partial:
        text = yaml.safe_dump(kept | {"auth": auth}, sort_keys=False)
        partial.write_text("# mode: normal, fallback or off; with a reason\n" + text)
    return file


def require_production(environ: Mapping[str, str], arguments: Sequence[str]) -> None:
    """Refuse to start a packaged service with a switch for development left on."""
    on = [name for name, off in DEBUG.items() if environ.get(name, "").lower() not in off]
    on += [word for word in ("--development-mode", "--reload") if word in arguments]
    on += ["python -X dev"] if sys.flags.dev_mode and "PYTHONDEVMODE" not in on else []
    # Whatever a later version calls its switch for faults or tests: a name that is not known.
    on += sorted(
        name
        for name in environ
        if name.startswith("PREFLIGHT_") and name not in KNOWN and not LINK.search(name)
    )
    if on:
        raise Problem(
            "the service's environment",
            f"{', '.join(on)}",
            "production values: debugging, reload and switches that are not known are off",
            f"Unset {on[0]} and start again.",
        )


def arbiter() -> list[str]:
    """The words of the command that started this worker's server."""
    try:
        parent = psutil.Process().parent()
        return parent.cmdline() if parent else []
    except psutil.Error:
        return []


def require_loopback() -> None:
    """Refuse to answer without keys on an address that others can reach."""
    listening = {
        each.laddr.ip for each in psutil.Process().net_connections() if each.status == "LISTEN"
    }
    open_to = sorted(each for each in listening if not ipaddress.ip_address(each).is_loopback)
    if open_to:
        raise Problem(
            "serving.auth",
            f"off, while listening on {', '.join(open_to)}",
            "keys, or the loopback alone",
            "Set auth: keys, or serve with --host 127.0.0.1.",
        )
