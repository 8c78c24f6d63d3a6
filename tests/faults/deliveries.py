"""Planted faults of what is about to be delivered: in the commits, the pull request, the remote."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fake_github import BOT, REPOSITORY, TOKEN, FakeGitHub, check, pull, review, serving
from faults.changes import append, edit, lay
from faults.world import POINTS, PRODUCTION, STAGING, Said, World
from preflight.delivery import promotion
from preflight.files import read_json
from preflight.release import PLACE
from preflight.ruleset import RULESET

NUMBER = 43
HUMAN = ("-c", "user.name=Bea", "-c", "user.email=bea@localhost")
MOVED = """#!/bin/sh
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
git update-ref refs/heads/main {other} {base} 2>/dev/null
exit 0
"""
REFUSED = "#!/bin/sh\necho main is frozen >&2\nexit 1\n"


def asked(*words: str) -> Callable[[World], Said]:
    """Ask a command of ours."""
    return lambda world: world.preflight(*words)


def hooked(world: World, text: str) -> None:
    """A hook that the remote runs at each push."""
    hook = world.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text, encoding="utf-8")
    hook.chmod(0o755)


def frozen(world: World) -> None:
    world.back("packaged")
    hooked(world, REFUSED)


def overtaken(world: World, point: str) -> None:
    """What was pushed last comes to main once more, while the next push is under way."""
    world.keep("other")
    world.back(point)
    other, base = (
        world.git("rev-parse", POINTS + name, at=world.remote) for name in ("other", point)
    )
    hooked(world, MOVED.format(other=other, base=base))


def main_moved(world: World) -> None:
    world.back("packaged")
    append("README.md", "\n")(world.root)
    world.push("Another change")
    overtaken(world, "packaged")


def staged_on_top(world: World) -> Said:
    """Stage, and add what main's history says from the top on."""
    done = world.preflight("stage")
    said = world.git("log", "-3", "--format=%s", "main", at=world.remote)
    done.stdout += "main: " + " <- ".join(said.splitlines())
    return done


def another_release(world: World, environment: str) -> None:
    """A release of the commit before is rolled out in an environment."""
    world.record(
        environment,
        world.draft.record(
            environment=environment,
            manifests=world.draft.commit,
            when="2026-01-02T03:04:05+00:00",
            previous=None,
            rollout={"verdict": "pending", "at": None},
        ),
        model=world.draft.model.model_dump() | {"version": "9"},
        commit=world.git("rev-parse", f"{world.draft.commit}^"),
    )


def two_at_once(world: World) -> None:
    """Another release comes to staging while this one's push is under way."""
    world.back("packaged")
    another_release(world, STAGING)
    overtaken(world, "packaged")


def staging_in_flight(world: World) -> None:
    world.back("packaged")
    another_release(world, STAGING)


def moved_on(world: World) -> None:
    """A draft of the commit before."""
    world.back("packaged")
    append("src/taxi/features.py", "\n")(world.root)
    world.push("Another code")


def reverted(world: World) -> None:
    """Production went back to the release before."""
    before = world.git("rev-parse", f"{world.draft.commit}^")
    now = world.current(PRODUCTION)
    model = now.model.model_dump() | {"version": "9"}
    world.record(PRODUCTION, now, model=model, commit=before)


def evidence_taken_away(world: World) -> None:
    place = f"deploy/overlays/{PRODUCTION}/evidence.json"
    (world.root / place).unlink()
    world.push("Tidy up")


def staging_edited(world: World) -> None:
    """Staging's evidence is another set than its record names."""
    world.back("promoted")
    place = f"deploy/overlays/{STAGING}/evidence.json"
    edit(place, ("as it should be", "better still"))(world.root)
    world.push("Better evidence")


def settled_twice(world: World) -> Said:
    """Say the opposite of what a record has."""
    return world.preflight("settle", STAGING, world.current(STAGING).id, "aborted")


def record_edited(world: World) -> None:
    edit(PLACE.format(environment=PRODUCTION), ("all metrics fine", "better"))(world.root)
    world.git("add", "--all")
    world.git(*HUMAN, "commit", "--quiet", "--message", "A better reason")


def bot_beyond(world: World) -> None:
    append("src/taxi/features.py", "\n")(world.root)
    world.git("add", "--all")
    own = ("-c", f"user.name={BOT}", "-c", "user.email=bot@localhost")
    world.git(*own, "commit", "--quiet", "--message", "Release")


def card_empty(world: World) -> None:
    lay(risk={"tier": "high"}, log={"explain": True})(world.root)
    text = "Whoever plans a ride: an app that shows an arrival time.\n"
    edit("docs/model-card.in.md", (text, "TODO\n"))(world.root)
    world.push("A card with a gap")


def proposed(world: World, point: str = "promoted") -> str:
    """Main before the proposal landed, with its branch, which is returned."""
    world.back(point)
    branch = promotion.branch(PRODUCTION, world.current(STAGING).id)
    world.git("update-ref", f"refs/heads/{branch}", f"{POINTS}proposal", at=world.remote)
    return branch


def two_eyes(world: World) -> None:
    """The tier asks for an approval; whoever pushed the head pushed it after that."""
    branch = proposed(world)
    lay(risk={"tier": "high"}, log={"explain": True})(world.root)
    world.push("Raise the tier")
    tree, parent = (
        world.git("rev-parse", f"{POINTS}proposal^{each}", at=world.remote)
        for each in ("{tree}", "1")
    )
    words = ("commit-tree", tree, "-p", parent, "-m", "Pushed after the approval")
    head = world.git(*HUMAN, *words, at=world.remote)
    world.git("update-ref", f"refs/heads/{branch}", head, at=world.remote)


def production_in_flight(world: World) -> None:
    """Another release came to production since the proposal."""
    proposed(world)
    another_release(world, PRODUCTION)


def not_promoted(world: World) -> None:
    """The proposal of what staging still rolls out."""
    proposed(world, "staged")


def proposal_edited(world: World) -> None:
    branch = proposed(world)
    world.git("fetch", "--quiet", "origin", branch)
    world.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    edit(PLACE.format(environment=PRODUCTION), ("who: ", "who: not "))(world.root)
    world.git("add", "--all")
    world.git(*HUMAN, "commit", "--quiet", "--message", "Another author")
    world.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    world.git("checkout", "--quiet", "main")


def required(world: World) -> list[str]:
    """The names of the checks that main requires."""
    rules = read_json(world.root / RULESET)["rules"]
    lists = (each.get("parameters", {}).get("required_status_checks", []) for each in rules)
    return [each["context"] for checks in lists for each in checks]


@contextmanager
def github(world: World) -> Iterator[FakeGitHub]:
    """A fake with the promotion's pull request: green, and approved as it was proposed first."""
    branch = promotion.branch(PRODUCTION, world.current(STAGING).id)
    head, first = (
        world.git("rev-parse", each, at=world.remote)
        for each in (f"refs/heads/{branch}", f"{POINTS}proposal")
    )
    with serving("a" * 40) as fake:
        fake.authors = {world.draft.commit: "ada"}
        fake.pulls = [pull(7, world.draft.commit) | {"user": {"login": "ada", "type": "User"}}]
        own = pull(NUMBER, head, fork=REPOSITORY)
        own["head"]["ref"] = branch
        fake.pulls.append(own | {"user": {"login": BOT, "type": "Bot"}})
        fake.checks = {head: [check(name) for name in required(world)]}
        fake.reviews = {NUMBER: [review("bea", first)]}
        yield fake


def landed(conclusion: str = "success", bot: str = BOT) -> Callable[[World], Said]:
    """Ask for the landing, the head's check having ended so."""

    def ask(world: World) -> Said:
        with github(world) as fake:
            for found in fake.checks.values():
                found[0] |= {"conclusion": conclusion}
            return world.preflight(
                *("land", str(NUMBER), "--bot", bot),
                GITHUB_TOKEN=TOKEN,
                GITHUB_REPOSITORY=REPOSITORY,
                GITHUB_API_URL=fake.api,
                no_proxy="*",
            )

    return ask
