"""The checks that main's ruleset requires of a commit: each one's own app's, in its newest run."""

from pathlib import Path

from preflight.errors import NoData, Problem
from preflight.files import read_json
from preflight.pull_request.github import Answer, GitHub, shown
from preflight.ruleset import RULESET

RULE = "required_status_checks"


class Required(Answer):
    """A check by its name, and the number of the app that may make it."""

    context: str
    integration_id: int


class App(Answer):
    """Who made a check."""

    id: int


class Check(Answer):
    """One run of a check."""

    id: int
    name: str
    status: str
    conclusion: str | None
    app: App | None


class Checks(Answer):
    """A page of them."""

    check_runs: tuple[Check, ...]


def required(tree: Path) -> tuple[Required, ...]:
    """What a checkout's ruleset of main requires; raises Problem where it requires nothing."""
    rules = read_json(tree / RULESET)
    try:
        (found,) = (each["parameters"][RULE] for each in rules["rules"] if each["type"] == RULE)
        checks = tuple(Required.model_validate(each) for each in found)
    except (LookupError, TypeError, ValueError):  # as pydantic's own is
        checks = ()
    if not checks:
        expected = "names and integration_id of the checks that main requires"
        raise Problem(f"{RULESET}: {RULE}", "none, or another form", expected, "Restore it.")
    return checks


def require_green(github: GitHub, commit: str, checks: tuple[Required, ...]) -> None:
    """Raise Problem where a check ended red, NoData where one has not ended or is not there."""
    waiting: list[NoData] = []
    for each in checks:
        where = f"check {each.context} of {commit[:12]}"
        last = _newest(github, commit, each)
        if last is None or last.status != "completed":
            found = shown(last.status) if last else "none"
            waiting.append(NoData(where, found, "success", "Wait for it."))
        elif last.conclusion != "success":
            found = shown(last.conclusion or "no conclusion")
            raise Problem(where, found, "success", "Mend what it names.")
    if waiting:
        raise waiting[0]


def _newest(github: GitHub, commit: str, asked: Required) -> Check | None:
    path = f"commits/{commit}/check-runs"
    page = github.get(Checks, path, check_name=asked.context, filter="latest", per_page=100)
    own = [
        each
        for each in page.check_runs
        if each.name == asked.context and each.app and each.app.id == asked.integration_id
    ]
    return max(own, key=lambda each: each.id, default=None)
