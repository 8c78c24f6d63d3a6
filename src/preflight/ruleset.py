"""The rules of the main branch: .github/rulesets/main.json, applied to a repository on GitHub."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from preflight.errors import Problem
from preflight.files import read_json

RULESET = Path(".github/rulesets/main.json")
API = "https://api.github.com"
SECONDS = 30.0
ADMIN = "a token that may write the repository's administration"
REFUSED = {
    401: ("status 401", ADMIN, "Set GITHUB_TOKEN anew: this one is wrong or has expired."),
    403: ("status 403", ADMIN, "Give the token that permission, and its organization's consent."),
    404: ("status 404", "OWNER/REPO that the token sees", "Mend the name, or the token's access."),
}
QUEUE = "Take the rule merge_queue out of the file, or move the repository to an organization."


def apply(root: Path, repository: str, environ: Mapping[str, str], bot: int | None = None) -> str:
    """Create the ruleset in OWNER/REPO, or update the one of its name; says what was done.

    The GitHub App whose id is `bot` may bypass it, and nobody else; None: nobody at all. Reads
    GITHUB_TOKEN, and GITHUB_API_URL where it is not github.com's. Raises Problem.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise Problem("OWNER/REPO", repr(repository), "a name such as team/model", "Mend it.")
    token = environ.get("GITHUB_TOKEN", "")
    if not token:
        raise Problem("GITHUB_TOKEN", "nothing", ADMIN, "See docs/setup-github.md.")
    api = environ.get("GITHUB_API_URL") or API
    if urlsplit(api).scheme not in ("http", "https"):
        raise Problem("GITHUB_API_URL", repr(api), "an https address", "Mend or unset it.")
    place = f"{api}/repos/{repository}/rulesets"
    ruleset = read_json(root / RULESET)
    ruleset["bypass_actors"] = [] if bot is None else [_bypass(bot)]
    name = ruleset["name"]
    for each in _asked("GET", f"{place}?includes_parents=false&per_page=100", token):
        if each["name"] == name:
            _asked("PUT", f"{place}/{each['id']}", token, ruleset)
            return f"ruleset {name} of {repository}: updated, {_rules(ruleset)}"
    _asked("POST", place, token, ruleset)
    return f"ruleset {name} of {repository}: created, {_rules(ruleset)}"


def _bypass(bot: int) -> dict[str, object]:
    return {"actor_id": bot, "actor_type": "Integration", "bypass_mode": "always"}


def _rules(ruleset: Mapping[str, Any]) -> str:
    rules = ", ".join(rule["type"] for rule in ruleset["rules"])
    by = [f"the app {each['actor_id']}" for each in ruleset["bypass_actors"]]
    return f"{rules}; bypassed by {' and '.join(by) or 'nobody'}"


def _asked(method: str, place: str, token: str, body: object = None) -> Any:
    """GitHub's answer to a request; raises Problem for any but success."""
    raw = None if body is None else json.dumps(body).encode()
    request = Request(place, data=raw, method=method)  # noqa: S310 (the scheme is checked)
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("X-GitHub-Api-Version", "2022-11-28")
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    where = f"GitHub's {urlsplit(place).path}"
    try:
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return json.loads(answer.read())
    except HTTPError as error:
        with error:
            raise _refused(where, error) from None
    except (URLError, TimeoutError, ValueError) as error:
        raise Problem(where, str(error), "an answer", "Try again; see GITHUB_API_URL.") from None


def _refused(where: str, error: HTTPError) -> Problem:
    if error.code in REFUSED:
        return Problem(where, *REFUSED[error.code])
    said = error.read(2000).decode(errors="replace")
    # GitHub gives no reason for this one: only organizations' repositories may queue merges.
    remedy = QUEUE if "merge_queue" in said else "Mend what it names in the file."
    return Problem(where, f"status {error.code}: {said[:300]}", f"{RULESET} accepted", remedy)
