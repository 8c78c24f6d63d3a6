"""Planted faults of what is declared for a cluster: manifests that apply, and do harm."""

from pathlib import Path

import yaml

from faults.changes import Change, edit, write
from faults.fault import Fault
from records import record

STAGING = "deploy/rendered/staging.yaml"
SCRAPES, RULES = (f"deploy/platform/monitoring/{name}.yaml" for name in ("scrapes", "rules"))
ARM = "          - name: X-Arm\n            value: {}"
PROBE = """        readinessProbe:
          failureThreshold: 2
          httpGet:
            path: /readyz
            port: http
          periodSeconds: 2
          timeoutSeconds: 2
"""
MONITOR = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata:\n  name: taxi\n"
DIGEST = "registry.example/taxi@sha256:" + 64 * "0"


def _of(name: str, words: str, old: str, new: str, path: str = STAGING) -> Fault:
    return Fault(name, "deploy", "deploy", words, edit(path, (old, new)))


def _recorded(environment: str, verdict: str, **fields: str) -> Change:
    """A release record."""
    text = yaml.safe_dump(record(verdict, environment=environment, **fields))
    return write(f"deploy/overlays/{environment}/release.yaml", text)


def _both(root: Path) -> None:
    """A release of production, and the verdict of staging that it needs."""
    _recorded("staging", "promoted")(root)
    _recorded("production", "pending")(root)


DEPLOYS = (
    _of(
        "analysis that passes without a verdict",
        "consecutiveSuccessLimit: found None",
        "    consecutiveSuccessLimit: 1\n",
        "",
    ),
    _of(
        "analysis that begins too late",
        "startingStep: found 7",
        "startingStep: 1",
        "startingStep: 7",
    ),
    _of(
        "mirror by a step that does nothing",
        "does nothing there and reports success",
        "      - setWeight: 20\n",
        "      - setMirrorRoute:\n          name: shadow\n          percentage: 10\n",
    ),
    _of(
        "one header for both arms",
        "found that of another backend",
        ARM.format("canary"),
        ARM.format("stable"),
    ),
    _of("requests at random", "no consistent hash", "type: ConsistentHash", "type: Random"),
    _of(
        "metrics of another port",
        "endpoints.port: found admin",
        "{port: http, path: /metrics, interval",
        "{port: admin, path: /metrics, interval",
        SCRAPES,
    ),
    _of(
        "judge that selects no pod",
        "--selector by arm; expected a label that pods have",
        'rollouts_pod_template_hash="{hash}"',
        'arm="{hash}"',
    ),
    _of(
        "tag instead of a digest",
        "expected NAME@sha256:DIGEST",
        DIGEST,
        "registry.example/taxi:latest",
    ),
    _of(
        "no limit of memory",
        "resources.limits.memory: found none",
        '            cpu: "2"\n            memory: 640Mi\n',
        '            cpu: "2"\n',
    ),
    _of("no readiness probe", "service.readinessProbe: found none", PROBE, ""),
    _of("one replica", "spec.minReplicas: found 1", "  minReplicas: 2", "  minReplicas: 1"),
    _of(
        "weights that end at 90",
        "expected setWeight 100 as the last step",
        "      - setWeight: 100",
        "      - setWeight: 90",
    ),
    _of(
        "a first step over the limit",
        "rollout.max_first_weight",
        "      - setWeight: 5\n",
        "      - setWeight: 10\n",
    ),
    _of(
        "retries on a measured arm",
        "spec.retry: found retries",
        "spec:\n  loadBalancer:",
        "spec:\n  retry:\n    numRetries: 2\n  loadBalancer:",
    ),
    _of(
        "alert on a metric that nobody emits",
        "the metric preflight_error_total",
        "preflight_errors_total",
        "preflight_error_total",
        RULES,
    ),
    _of("right to everything", "found a wildcard", "  - httproutes\n", "  - '*'\n"),
    _of(
        "a secret's value in a manifest",
        "env.API_TOKEN: found what looks like a value",
        "        - name: BENTOML_DO_NOT_TRACK\n",
        "        - name: API_TOKEN\n          value: hush-hush-hush\n"
        "        - name: BENTOML_DO_NOT_TRACK\n",
    ),
    Fault(
        "production ahead of staging",
        "deploy",
        "deploy",
        "never promoted in staging",
        _recorded("production", "pending"),
    ),
    Fault(
        "a verdict by the change that needs it",
        "deploy",
        "deploy",
        "promoted there, by an earlier commit",
        _both,
    ),
    Fault(
        "an aborted release once more",
        "deploy",
        "deploy",
        "with rollbackWindow it would get all traffic unjudged",
        _recorded("staging", "aborted", when="2026-02-01T00:00:00+00:00"),
        after=_recorded("staging", "pending", when="2026-02-02T00:00:00+00:00"),
    ),
    _of(
        "rendered file edited by hand",
        "expected preflight/release: none",
        "    preflight/release: none\n",
        "    preflight/release: 3-abc\n",
    ),
    Fault(
        "more pods in the rendered file than in its source",
        "deploy",
        "deploy",
        "found another 'maxReplicas'",
        edit(STAGING, ("  maxReplicas: 4\n", "  maxReplicas: 40\n")),
        tool="kustomize",
    ),
    _of(
        "a file of the platform that no rule reads",
        "document 1: found no object",
        MONITOR,
        "spec: {}\n---\n" + MONITOR,
        SCRAPES,
    ),
    _of(
        "an arm judged against itself",
        "expected rollout=taxi&stable={{args.stable}}&canary={{args.canary}}",
        "stable={{args.stable}}",
        "stable={{args.canary}}",
    ),
    _of(
        "a candidate that judges itself",
        "A candidate would judge itself",
        "registry.example/judge@",
        "registry.example/taxi@",
    ),
    _of(
        "a way past the weights",
        "Service/taxi-stable: spec.type: found LoadBalancer",
        "  name: taxi-stable\n  namespace: taxi-staging\nspec:\n",
        "  name: taxi-stable\n  namespace: taxi-staging\nspec:\n  type: LoadBalancer\n",
    ),
    _of(
        "everybody let in beside the default deny",
        "spec.ingress.0: found everybody",
        "  ingress:\n",
        "  ingress:\n  - {}\n",
    ),
    _of(
        "an analysis that asks when all is over",
        "initialDelay: found 10h",
        "    count: 60\n",
        "    count: 60\n    initialDelay: 10h\n",
    ),
    _of(
        "a plan that cannot decide",
        "simulated canaries that are no worse are promoted",
        "    count: 60\n",
        "    count: 2\n",
    ),
    _of(
        "field that the controller would drop",
        "the unknown field spec.strategy.canary.dynamicStableScaled",
        "dynamicStableScale: false",
        "dynamicStableScaled: false",
    ),
)
