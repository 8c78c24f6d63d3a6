"""What the judge of a rollout answers, asked once more where its verdict goes into Git."""

from http.client import HTTPException
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, ValidationError

from preflight.deploy import analyses, manifests
from preflight.errors import NoData, Problem
from preflight.release import RENDERED

SECONDS = 15.0  # the judge answers within 8
MOST = 1_000_000  # bytes of an answer
REMEDY = "Nothing was written; ask again when it can see."


class Said(BaseModel):
    """What is used of a verdict; `at` is None where the judge could not see."""

    model_config = ConfigDict(frozen=True)

    result: str
    reason: str
    at: float | None


def ask(tree: Path, environment: str, address: str) -> Said:
    """The verdict at an address; raises Problem for one that the analyses do not ask.

    NoData where nobody answers with a verdict.
    """
    _require_known(tree, environment, address)
    try:
        with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 (the scheme is checked)
            return Said.model_validate_json(answer.read(MOST))
    except (OSError, HTTPException) as error:
        found = f"no answer ({type(error).__name__})"
    except ValidationError:
        found = "an answer that is no verdict"
    raise NoData("the judge", found, "its verdict", REMEDY)


def _require_known(tree: Path, environment: str, address: str) -> None:
    """An address names the path and the rollout that an analysis of the rendered file does."""
    where = RENDERED.format(environment=environment)
    found = analyses.templates(manifests.read(tree / where)).values()
    urls = {measure.provider.web.url for each in found for measure in each.spec.metrics}
    known = {_asked(url) for url in urls}
    if urlsplit(address).scheme not in ("http", "https") or _asked(address) not in known:
        shown = " or ".join(sorted(f"{path}?rollout={name}&…" for path, name in known)) or "none"
        raise Problem("--judge", "another address", f"{shown}, as in {where}", "Mend it.")


def _asked(url: str) -> tuple[str, str]:
    """Path and rollout of a question."""
    parts = urlsplit(url)
    return parts.path, ",".join(parse_qs(parts.query).get("rollout", []))
