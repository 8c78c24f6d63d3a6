"""Planted faults of what is declared for a cluster: manifests that apply, and do harm."""

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
DIGEST = "registry.example/taxi@sha256:" + 64 * "0"


def _of(name: str, words: str, old: str, new: str, path: str = STAGING) -> Fault:
    return Fault(name, "deploy", "deploy", words, edit(path, (old, new)))


def _ahead() -> Change:
    """A release of production that staging never had."""
    text = yaml.safe_dump(record("pending"))
    return write("deploy/overlays/production/release.yaml", text)


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
    Fault("production ahead of staging", "deploy", "deploy", "never promoted in staging", _ahead()),
    _of(
        "rendered file edited by hand",
        "expected preflight/release: none",
        "    preflight/release: none\n",
        "    preflight/release: 3-abc\n",
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
