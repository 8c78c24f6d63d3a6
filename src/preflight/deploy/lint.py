"""Every rule over deploy/, and what each found: for a terminal, and as evidence."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from preflight.deploy import kinds, rules
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import NoData, Problem
from preflight.evidence import Evidence, Findings, Status, Table, told, worst

GATE = "deploy"
OfTree = Callable[[Tree], Iterator[Finding]]
OfEnvironment = Callable[[Environment], Iterator[Finding]]
MOST = 3  # findings that evidence tells in full


@dataclass(frozen=True)
class Rule:
    """A rule's name, what it says, and what finds where it is broken."""

    name: str
    claim: str
    check: OfTree


@dataclass(frozen=True)
class Result:
    """What a rule found; `missing` says why it could not look, `tool` that a program is not there.

    A rule that could not look has not passed.
    """

    rule: Rule
    findings: tuple[Finding, ...]
    missing: str | None = None
    tool: bool = False

    @property
    def status(self) -> Status:
        """fail before no-data before pass."""
        if self.findings:
            return "fail"
        return "no-data" if self.missing else "pass"


def _rule(name: str, check: OfTree) -> Rule:
    return Rule(name, _said(check.__doc__), check)


def _each(name: str, check: OfEnvironment) -> Rule:
    """A rule of one environment, over all of them."""

    def every(tree: Tree) -> Iterator[Finding]:
        for each in tree.environments:
            yield from check(each)

    return Rule(name, _said(check.__doc__), every)


def _said(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


RULES = (
    _rule("files", rules.releases.complete),
    _each("fields", rules.rollout.whole),
    _rule("schemas", kinds.schemas),
    _each("vacuous-analysis", rules.rollout.vacuous),
    _each("delayed-analysis", rules.rollout.delayed),
    _each("weights", rules.rollout.weights),
    _each("first-step", rules.rollout.first_step),
    _each("undecidable-plan", rules.plan.plans),
    _each("ends", rules.ends.ends),
    _each("mirror", rules.traffic.mirror),
    _each("consistent-hash", rules.traffic.sticky),
    _rule("bypassed", rules.traffic.bypassed),
    _rule("retries", rules.traffic.retries),
    _each("at-rest", rules.route.at_rest),
    _rule("durations", rules.route.durations),
    _rule("routes", rules.targets.routes),
    _each("arms", rules.targets.arms),
    _rule("scraped", rules.targets.scraped),
    _rule("judge", rules.judge.judged),
    _rule("monitoring", rules.targets.watched),
    _rule("alerts", rules.alerts.alerts),
    _rule("digests", rules.pods.digests),
    _rule("limits-and-probes", rules.pods.limited),
    _rule("mounts", rules.pods.mounted),
    _rule("sizes", rules.sizes.sizes),
    _rule("replicas", rules.pods.replicas),
    _rule("hardened", rules.walls.hardened),
    _rule("wildcards", rules.rights.wildcards),
    _rule("secrets", rules.secrets.secrets),
    _rule("argo-cd", rules.argocd.applied),
    _rule("ahead-of-staging", rules.releases.ahead),
    _rule("aborted-before", rules.releases.again),
    _rule("unapproved", rules.releases.approved),
    _rule("unproven", rules.admission.proven),
    _rule("risk-tier", rules.risk.asked),
    _rule("edited-by-hand", rules.releases.by_hand),
)


def lint(tree: Tree) -> tuple[Result, ...]:
    """What every rule found, in the order of RULES."""
    return tuple(looked(rule, tree) for rule in RULES)


def looked(rule: Rule, tree: Tree) -> Result:
    """What one rule found; a Problem that it meets is no pass."""
    findings: list[Finding] = []
    try:
        for each in rule.check(tree):
            findings.append(each)  # one by one: what stands before an error is found
    except NoData as problem:
        return Result(rule, tuple(findings), str(problem), tool=problem.where == "kustomize")
    except Problem as problem:
        return Result(rule, tuple(findings), str(problem))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        # An object of another form than its kind has; `schemas` or `fields` names it.
        said = f"{type(error).__name__}: {error}"
        return Result(rule, tuple(findings), f"an object of an odd form: {said}")
    return Result(rule, tuple(findings))


def required() -> bool:
    """Whether a tool that is not there is an error: in CI it is."""
    return os.environ.get("PREFLIGHT_REQUIRE_TOOLS") == "1"


def status(results: tuple[Result, ...]) -> Status:
    """fail before no-data before pass; a missing tool is told, and asked for in CI alone."""
    return worst(each.status for each in results if required() or not _is_absent(each))


def _is_absent(result: Result) -> bool:
    return result.tool and not result.findings


def lines(results: tuple[Result, ...], tree: Tree) -> Iterator[str]:
    """A line for each finding and each rule that could not look; at the end what was checked."""
    for each in results:
        yield from (f"{each.rule.name}: {found}" for found in each.findings)
        if each.missing:
            yield f"{each.rule.name}: not run: {each.missing}"
    findings = sum(len(each.findings) for each in results)
    objects = sum(len(each.manifests.objects) for each in tree.files)
    names = " and ".join(each.name for each in tree.environments)
    missed = sum(bool(each.missing) for each in results)
    ran = f"{len(results) - missed} of {len(results)} rules"
    counted = f"{findings} finding{'' if findings == 1 else 's'}"
    yield f"{counted}: {ran}, {objects} objects, environments {names}"


def judged(results: tuple[Result, ...]) -> Findings:
    """One check a rule; those whose tool is not there stand in a table, unless it is required."""
    absent = [each for each in results if _is_absent(each) and not required()]
    rows = tuple((each.rule.name, "its tool is not installed; CI requires it") for each in absent)
    table = Table(title="Rules of deploy/ not run here", columns=("rule", "why"), rows=rows)
    evidence = tuple(_evidence(each) for each in results if each not in absent)
    return Findings(evidence=evidence, tables=(table,) if rows else ())


def _evidence(result: Result) -> Evidence:
    found = [str(each) for each in result.findings]
    more = f" And {len(found) - MOST} more." if len(found) > MOST else ""
    words = " ".join(found[:MOST]) + more or result.missing or "nothing"
    holds = {"pass": True, "fail": False, "no-data": None}[result.status]
    return told(GATE, result.rule.name, result.rule.claim, holds, words)
