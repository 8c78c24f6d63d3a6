"""What ends a rollout at once, beside the tests: each a sentence that says what was seen."""

from collections.abc import Iterator

import numpy as np

from preflight.rollout.limits import Limits
from preflight.rollout.observed import CANARY, STABLE, Observed

BAD = 3  # entity buckets with a bad output: one odd caller is none of the release's
TIMES = 10  # the stable arm's share of bad outputs
ANSWERS = 200  # predictions, after which an arm that gives but one answer is constant
SPREAD = 0.9  # share of stable's predictions in one bin, above which nothing can be said
DEAD = 50  # requests in a row, nearly all of them unanswered
TURNED_AWAY = 0.9


def stops(found: Observed, limits: Limits) -> tuple[str, ...]:
    """Sentences on what must end this rollout; none where all is well."""
    checks = (_edges(found), _bad(found), _constant(found), _dead(found), _process(found, limits))
    return tuple(said for check in checks for said in check)


def _edges(found: Observed) -> Iterator[str]:
    stable, canary = found.edges
    if stable and canary and stable != canary:
        odd = sorted(set(stable) ^ set(canary))
        yield (
            f"The arms count predictions in different bins ({', '.join(odd[:4])}): they cannot be "
            "compared. Release a changed contract as a new version of it."
        )


def _bad(found: Observed) -> Iterator[str]:
    counts = found.shares["bad_outputs"]
    hits, total = counts.hits[-1], counts.total[-1].sum(axis=-1)
    share = (hits[STABLE].sum() + 1) / max(total[STABLE], 1)
    bad = hits[CANARY].sum()
    if (hits[CANARY] > 0).sum() >= BAD and bad / total[CANARY] > TIMES * share:
        yield (
            f"The canary's model gave {bad:,.0f} outputs that are no number within the contract's "
            f"range, of {total[CANARY]:,.0f}; stable's {hits[STABLE].sum():,.0f} of "
            f"{total[STABLE]:,.0f}."
        )


def _constant(found: Observed) -> Iterator[str]:
    if not found.bins.size:
        return
    stable, canary = found.bins[-1].sum(axis=1)
    spread = stable.max() < SPREAD * stable.sum()
    if canary.sum() >= ANSWERS and canary.max() == canary.sum() and spread:
        name = found.edges[CANARY][int(np.argmax(canary))]
        yield (
            f"All {canary.sum():,.0f} predictions of the canary lie in one bin, up to {name}; "
            "stable's are spread."
        )


def _dead(found: Observed) -> Iterator[str]:
    """The latest requests, at least DEAD of them, got no answer from the canary, or a 5xx."""
    seen = found.seen or found.proxied
    if seen is None:
        return
    sent, lost = seen.sent, np.maximum(seen.failed, seen.unreached)
    since = int(np.searchsorted(-(sent[-1, CANARY] - sent[:, CANARY]), -DEAD, side="right")) - 1
    if since < 0 or sent[-1, CANARY] - sent[since, CANARY] < DEAD:
        return
    asked, none = sent[-1] - sent[since], lost[-1] - lost[since]
    stable = none[STABLE] / max(asked[STABLE], 1)
    if none[CANARY] > TURNED_AWAY * asked[CANARY] and stable < 1 - TURNED_AWAY:
        yield (
            "The proxy got no answer from the canary, or a 5xx, for "
            f"{none[CANARY]:,.0f} of the last "
            f"{asked[CANARY]:,.0f} requests; from stable for {none[STABLE]:,.0f} of "
            f"{asked[STABLE]:,.0f}."
        )


def _process(found: Observed, limits: Limits) -> Iterator[str]:
    health = found.health
    if health.restarts > limits.max_restarts:
        yield (
            f"The canary's processes were restarted {health.restarts} times; "
            f"{limits.max_restarts} are allowed."
        )
    if health.memory is not None and health.memory > limits.max_memory_bytes:
        yield (
            f"A worker of the canary holds {health.memory / 1e6:,.0f} MB; "
            f"{limits.max_memory_bytes / 1e6:,.0f} MB are allowed."
        )
