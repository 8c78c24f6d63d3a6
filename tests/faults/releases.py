"""Planted faults of a release: bad inputs of each step, a mismatch at each link of its chain."""

from collections.abc import Callable

from fake_github import BOT
from faults import deliveries, mismatches
from faults.deliveries import asked, landed
from faults.fault import ReleaseFault
from faults.service import running
from faults.world import PRODUCTION, Said, World

Plant = Callable[[World], object]
CHAIN = asked("verify", PRODUCTION)
TREE = asked("verify", "HEAD")


def _link(
    name: str, words: str, plant: Plant, ask: Callable[[World], Said] = CHAIN
) -> ReleaseFault:
    return ReleaseFault(name, "verify", words, plant, ask)


def _step(command: str, name: str, words: str, plant: Plant) -> ReleaseFault:
    return ReleaseFault(name, command, words, plant, asked(command))


def _nothing(_: World) -> None:
    """Nothing is planted: what is asked is another thing."""


def _bento(world: World) -> Said:
    return world.preflight("verify", world.draft.bento)


def _runs(what: str) -> Callable[[World], Said]:
    """Ask for the chain up to a service that says another thing of itself."""

    def ask(world: World) -> Said:
        with running(world.draft, **{what: "f" * 40}) as address:
            return world.preflight("verify", PRODUCTION, "--server", address)

    return ask


CHAINS = (
    _link(
        "code changed behind dvc.lock",
        "dvc.lock -> commit: src/taxi/features.py",
        mismatches.code_alone,
        TREE,
    ),
    _link("record of other data", "dvc.lock -> commit: data", mismatches.other_data),
    _link(
        "damaged model in the tree",
        "models/packaged/contract.json: found hash",
        mismatches.tree_damaged,
        TREE,
    ),
    _link(
        "model of another training in the tree",
        "tree -> model: model hash",
        mismatches.tree_of_another,
        TREE,
    ),
    _link("registry version deleted", "commit -> registry: absent", mismatches.version_deleted),
    _link(
        "registry version of another model",
        "commit -> registry: model hash",
        mismatches.version_retagged,
    ),
    _link("record of another model", "commit -> registry: name", mismatches.model_renamed),
    _link(
        "dependency downgraded in the commit's lock alone",
        "commit -> registry: service lock",
        mismatches.lock_of_commit,
        TREE,
    ),
    _link(
        "dependency downgraded in the Bento alone",
        "registry -> Bento: numpy",
        mismatches.lock_of_bento,
        _bento,
    ),
    _link("Bento of another model", "registry -> Bento: model hash", mismatches.bento_of_another),
    _link("image of another commit", "Bento -> image: commit", mismatches.image_of_commit),
    _link("tag moved after its digest was pinned", "tag -> digest: v1-", mismatches.tag_moved),
    _link("evidence edited by hand", "evidence -> record: digest", mismatches.evidence_edited),
    _link(
        "evidence of another commit in the record",
        "evidence -> record: commit of gates",
        mismatches.evidence_of_another,
    ),
    _link(
        "evidence that lacks a gate",
        "evidence -> record: gate quality",
        mismatches.evidence_too_few,
    ),
    _link(
        "image edited in the rendered file",
        "record -> manifest: digest",
        mismatches.rendered_by_hand,
    ),
    _link("image edited in the record", "record -> manifest: digest", mismatches.record_by_hand),
    _link("manifests ahead of staging's", "staging -> release: release", mismatches.ahead),
    _link(
        "another version runs", "manifest -> /version: version", _nothing, _runs("model_version")
    ),
    _link("another model runs", "manifest -> /version: model hash", _nothing, _runs("model_hash")),
)
STEPS = (
    _step(
        "package",
        "evidence of another commit packaged",
        "reports/evidence: quality: found evidence of another commit",
        mismatches.gates_of_another,
    ),
    _step(
        "package",
        "a tier's limit looser than its gate's",
        "risk.tiers.high.limits",
        mismatches.limit_of_tier,
    ),
    _step(
        "publish", "another image under a published tag", "never moved", mismatches.packaged_again
    ),
    _step(
        "stage",
        "image of another model under the right label",
        "model inside",
        mismatches.image_of_another,
    ),
    _step(
        "stage",
        "dependency downgraded in the image alone",
        "found lock inside",
        mismatches.lock_of_image,
    ),
    _step("stage", "label of another commit", ": commit: found ffff", mismatches.label_of_another),
    _step(
        "stage",
        "draft of another commit staged",
        "found the draft of another commit",
        deliveries.moved_on,
    ),
    _step(
        "stage",
        "rollout in flight in staging",
        "in staging: found a rollout in flight",
        deliveries.staging_in_flight,
    ),
    _step(
        "stage",
        "two releases at once",
        "two releases at once are one too many",
        deliveries.two_at_once,
    ),
    _step("stage", "push refused by the remote", "main is frozen", deliveries.frozen),
    ReleaseFault(
        "main moved while a release was pushed",
        "stage",
        "in staging <- Another change <- Longer trips (#7)",
        deliveries.main_moved,
        deliveries.staged_on_top,
        passes=True,
    ),
    ReleaseFault(
        "verdict that contradicts the record",
        "settle",
        "found promoted; expected pending",
        _nothing,
        deliveries.settled_twice,
    ),
    _step("promote", "revert of a revert", "a revert of a revert brings", deliveries.reverted),
    _step(
        "promote",
        "staging's evidence edited before its promotion",
        "the record's. Restore it",
        deliveries.staging_edited,
    ),
)
LANDINGS = tuple(
    ReleaseFault(name, "land", words, plant, ask)
    for name, words, plant, ask in (
        ("push after the approval", "its head was pushed since", deliveries.two_eyes, landed()),
        (
            "release that staging has not promoted",
            "pending; expected a promoted release",
            deliveries.not_promoted,
            landed(),
        ),
        (
            "rollout in flight in production",
            "in production: found a rollout in flight",
            deliveries.production_in_flight,
            landed(),
        ),
        (
            "proposal edited by hand",
            "bytes that promotion would not write now",
            deliveries.proposal_edited,
            landed(),
        ),
        (
            "proposal whose check is red",
            "found 'failure'; expected success",
            deliveries.proposed,
            landed("failure"),
        ),
        (
            "proposal of somebody else",
            "expected 'ada'",
            deliveries.proposed,
            landed(bot="ada"),
        ),
    )
)
BY_HAND = (
    ReleaseFault(
        "record edited by hand",
        "bot-commits",
        "production/release.yaml edited by hand",
        deliveries.record_edited,
        asked("bot-commits", "HEAD^..HEAD", "--bot", BOT),
    ),
    ReleaseFault(
        "bot's commit outside its files",
        "bot-commits",
        "the bot touches 'src/taxi/features.py'",
        deliveries.bot_beyond,
        asked("bot-commits", "HEAD^..HEAD", "--bot", BOT),
    ),
    _step(
        "lint-deploy",
        "release without its evidence",
        "production/evidence.json: found no file",
        deliveries.evidence_taken_away,
    ),
    ReleaseFault(
        "empty answer of the card at tier high",
        "card",
        "'For whom?' lacks an answer",
        deliveries.card_empty,
        asked("card", "--check"),
    ),
)
RELEASES = (*CHAINS, *STEPS, *LANDINGS, *BY_HAND)
