"""Reviews of a pull request: who approved exactly its head, and may."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from preflight.errors import NoData, Problem
from preflight.evidence import Commit
from preflight.pull_request.github import Answer, GitHub, shown
from preflight.release import Approval, Release

PAGE = 100
PAGES = 20
WRITERS = ("admin", "write")  # as the API says maintain too


class User(Answer):
    """Who did something: a person, or a bot."""

    login: str
    type: str = "User"


class Review(Answer):
    """One review, of the head as it was then."""

    id: int
    user: User | None
    state: str
    commit_id: Commit | None
    html_url: str
    submitted_at: Annotated[datetime, Field(strict=False)] | None = None


class Written(Answer):
    """Who wrote a commit, or opened a pull request; None where GitHub knows no account."""

    author: User | None = None
    user: User | None = None


class Permission(Answer):
    """What somebody may do in the repository."""

    permission: str


@dataclass(frozen=True)
class Asked:
    """How many approvals of which head a pull request needs; `bot` opened it."""

    number: int
    head: str
    approvals: int
    bot: str


def require(github: GitHub, asked: Asked, record: Release) -> Approval | None:
    """The newest approval that counts; None where none is needed.

    Of each person the last review that decides something counts, of the head alone, from others
    than the author of the model's commit and who opened its pull request, and the bot, who may
    write. Raises NoData where one is missing, Problem where one is stale or its author's own, and
    where somebody asks for changes.
    """
    last = _last(github, asked.number)
    where = f"pull request #{asked.number}"
    against = [each for each in last.values() if each.state == "CHANGES_REQUESTED"]
    if any(_may(github, each, asked) for each in against):
        raise Problem(where, "a review that asks for changes", "none", "Answer it first.")
    if not asked.approvals:
        return None
    approved = [each for each in last.values() if each.state == "APPROVED"]
    authors = _authors(github, record)
    counted = [
        each
        for each in approved
        if each.commit_id == asked.head
        and _login(each) not in authors
        and _may(github, each, asked)
    ]
    if len(counted) < asked.approvals:
        own = sorted({_login(each) for each in approved} & authors)
        raise _too_few(where, asked, approved, (len(counted), own))
    return _approval(max(counted, key=lambda each: (each.submitted_at is not None, each.id)))


def _last(github: GitHub, number: int) -> dict[str, Review]:
    """Each person's last review that decides something; comments decide nothing."""
    found: dict[str, Review] = {}
    for page in range(1, PAGES + 1):
        path = f"pulls/{number}/reviews"
        reviews = github.get(tuple[Review, ...], path, per_page=PAGE, page=page)
        for each in reviews:
            if each.user and each.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                found[each.user.login] = each
        if len(reviews) < PAGE:
            return found
    raise Problem(f"pull request #{number}", f"over {PAGE * PAGES} reviews", "fewer", "Reopen it.")


def _authors(github: GitHub, record: Release) -> set[str]:
    """Accounts of who made the model's commit; raises Problem where GitHub knows none."""
    said = [github.get(Written, f"commits/{record.commit}").author]
    if record.pull_request:
        said.append(github.get(Written, f"pulls/{record.pull_request}").user)
    found = {each.login for each in said if each}
    if not found:
        remedy = "Add the commit's address to that account, or approve another release."
        where = f"commit {record.commit[:12]}"
        raise Problem(where, "no account of its author", "whose approval would not count", remedy)
    return found


def _may(github: GitHub, review: Review, asked: Asked) -> bool:
    if review.user is None or review.user.type != "User" or review.user.login == asked.bot:
        return False
    path = f"collaborators/{review.user.login}/permission"
    return github.get(Permission, path).permission in WRITERS


def _login(review: Review) -> str:
    return review.user.login if review.user else ""


def _too_few(
    where: str, asked: Asked, approved: Sequence[Review], known: tuple[int, list[str]]
) -> Problem:
    """Why they are too few: `known` is how many count, and which authors approved their own."""
    many, own = known
    head = asked.head[:7]
    stale = sorted({(each.commit_id or "?")[:7] for each in approved} - {head})
    expected = f"{asked.approvals} of {head}, by others than its author who may write"
    if stale and not many:
        found = f"approved {', '.join(stale)}, the head is {head}"
        return Problem(where, found, expected, "Approve it anew: its head was pushed since.")
    if own:
        found = f"an author's own approval, {shown(', '.join(own))}"
        return Problem(where, found, expected, "Have somebody else approve it.")
    return NoData(where, f"{many} approvals that count", expected, "Have it approved.")


def _approval(review: Review) -> Approval:
    if review.user is None or review.commit_id is None or review.submitted_at is None:
        raise Problem("a review", "one without author, commit or time", "a whole one", "Review.")
    return Approval(
        who=review.user.login,
        commit=review.commit_id,
        review=review.html_url,
        at=review.submitted_at,
    )


def same_head(found: str, expected: str, number: int) -> None:
    """Raise Problem where a pull request's head is another than was looked at."""
    if found != expected:
        raise Problem(
            f"pull request #{number}",
            f"head {shown(found[:12])}",
            expected[:12],
            "It was pushed to meanwhile; look at it again.",
        )
