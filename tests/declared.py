"""A rollout's manifests for tests: small, valid, and what the lint calls sound."""

from collections.abc import Sequence
from pathlib import Path

from preflight import params
from preflight.deploy.manifests import Manifests, parse
from preflight.deploy.tree import Environment, Files, Tree
from preflight.release import Release
from preflight.rollout import limits

Edit = tuple[str, str]  # what stands in the text, and what replaces it
PARAMS = Path(__file__).parents[1] / "params.yaml"
LIMITS, SERVING = limits.load(PARAMS), params.load(PARAMS).serving

MANIFESTS = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: taxi
  namespace: taxi-staging
  labels: {app: taxi, app.kubernetes.io/version: "0"}
  annotations: {preflight/release: none}
spec:
  selector: {matchLabels: {app: taxi}}
  rollbackWindow: {revisions: 3}
  progressDeadlineAbort: true
  template:
    metadata:
      labels: {app: taxi, app.kubernetes.io/version: "0"}
      annotations: {preflight/release: none}
    spec:
      terminationGracePeriodSeconds: 630
      containers:
        - name: service
          image: registry.example/taxi@sha256:{zeros}
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          ports: [{name: http, containerPort: 3000}]
          resources: {requests: {cpu: "1", memory: 400Mi}, limits: {cpu: "1", memory: 600Mi}}
          startupProbe: &ready {httpGet: {path: /readyz, port: http}}
          readinessProbe: *ready
          livenessProbe: {httpGet: {path: /livez, port: http}}
  strategy:
    canary:
      stableService: taxi-stable
      canaryService: taxi-canary
      maxUnavailable: 0
      trafficRouting:
        plugins:
          argoproj-labs/gatewayAPI: {httpRoute: taxi, namespace: taxi-staging}
      analysis:
        templates: [{templateName: stop}]
        startingStep: 1
        args: &hashes
          - {name: stable, valueFrom: {podTemplateHashValue: Stable}}
          - {name: canary, valueFrom: {podTemplateHashValue: Latest}}
      steps:
        - setWeight: 5
        - pause: {duration: 5m}
        - setWeight: 20
        - pause: {duration: 5m}
        - setWeight: 50
        - analysis: {templates: [{templateName: decide}], args: *hashes}
        - setWeight: 100
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: decide, namespace: taxi-staging}
spec:
  args: [{name: stable}, {name: canary}]
  metrics:
    - name: verdict
      interval: 30s
      count: 60
      failureLimit: 0
      inconclusiveLimit: 60
      consecutiveSuccessLimit: 1
      consecutiveErrorLimit: 60
      successCondition: result == "promote"
      failureCondition: result == "abort"
      provider:
        web:
          url: http://judge.taxi-staging.svc:8080/v1/verdict?rollout=taxi&stable={{args.stable}}&canary={{args.canary}}
          jsonPath: "{$.result}"
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: stop, namespace: taxi-staging}
spec:
  args: [{name: stable}, {name: canary}]
  metrics:
    - name: verdict
      interval: 30s
      failureLimit: 0
      inconclusiveLimit: 1000
      consecutiveErrorLimit: 1000
      successCondition: result == "promote" || result == "continue"
      failureCondition: result == "abort"
      provider:
        web:
          url: http://judge.taxi-staging.svc:8080/v1/verdict?rollout=taxi&stable={{args.stable}}&canary={{args.canary}}
          jsonPath: "{$.result}"
---
apiVersion: v1
kind: Service
metadata: {name: taxi-stable, namespace: taxi-staging, labels: {app: taxi}}
spec:
  selector: {app: taxi}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: taxi-canary, namespace: taxi-staging, labels: {app: taxi}}
spec:
  selector: {app: taxi}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: taxi, namespace: taxi-staging}
spec:
  parentRefs: [{name: edge, namespace: gateway}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /v1/}}]
      timeouts: {request: 2s}
      backendRefs:
        - name: taxi-stable
          port: 80
          weight: 100
          filters:
            - type: RequestHeaderModifier
              requestHeaderModifier: {set: [{name: X-Arm, value: stable}]}
        - name: taxi-canary
          port: 80
          weight: 0
          filters:
            - type: RequestHeaderModifier
              requestHeaderModifier: {set: [{name: X-Arm, value: canary}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: taxi, namespace: taxi-staging}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: taxi}]
  loadBalancer:
    type: ConsistentHash
    consistentHash: {type: Headers, headers: [{name: X-Entity-Id}]}
  timeout: {tcp: {connectTimeout: 2s}, http: {connectionIdleTimeout: 3s, requestTimeout: 35s}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: taxi, namespace: taxi-staging}
spec:
  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: taxi}
  minReplicas: 2
  maxReplicas: 8
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: judge, namespace: taxi-staging, labels: {app: judge}}
spec:
  replicas: 2
  selector: {matchLabels: {app: judge}}
  template:
    metadata: {labels: {app: judge}}
    spec:
      containers:
        - name: judge
          image: registry.example/judge@sha256:{ones}
          command: [python, -m, preflight.rollout.service]
          args:
            [--prometheus, "http://prometheus:9090", --envoy, gateway, --host, 0.0.0.0]
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          ports: [{name: http, containerPort: 8080}]
          resources: {requests: {cpu: 100m, memory: 200Mi}, limits: {cpu: "1", memory: 400Mi}}
          readinessProbe: {httpGet: {path: /readyz, port: http}}
          livenessProbe: {httpGet: {path: /livez, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: judge, namespace: taxi-staging, labels: {app: judge}}
spec:
  selector: {app: judge}
  ports: [{name: http, port: 8080, targetPort: http}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: taxi, namespace: taxi-staging}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: taxi}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: judge, namespace: taxi-staging}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: judge}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: taxi-route, namespace: taxi-staging}
rules:
  - apiGroups: [gateway.networking.k8s.io]
    resources: [httproutes]
    resourceNames: [taxi]
    verbs: [get, update, patch]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: taxi-staging}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
""".replace("{zeros}", 64 * "0").replace("{ones}", 64 * "1")


PLATFORM = """\
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: taxi}
spec:
  selector: {matchLabels: {app: taxi}}
  namespaceSelector: {matchNames: [taxi-staging, taxi-production]}
  podTargetLabels: [app, rollouts-pod-template-hash]
  podMetricsEndpoints:
    - {port: http, path: /metrics, interval: 15s}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: taxi}
spec:
  groups:
    - name: healthy
      rules:
        - alert: Errors
          expr: sum(rate(preflight_errors_total{route="predict"}[5m])) > 1
        - alert: Down
          expr: up{app="taxi"} == 0
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: envoy, listeners: []}
"""


def manifests(*edits: Edit, text: str = MANIFESTS) -> Manifests:
    """The manifests with pieces of their text replaced, each of which must be there."""
    return parse(edited(text, edits), "deploy/rendered/staging.yaml")


def edited(text: str, edits: Sequence[Edit]) -> str:
    """A text with pieces replaced, each of which must be there."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def environment(*edits: Edit, record: Release | None = None, name: str = "staging") -> Environment:
    """An environment as the lint sees it."""
    return Environment(manifests(*edits), name, record, LIMITS, SERVING)


def tree(
    *environments: Environment, platform: Sequence[Edit] = (), root: Path = Path("/nowhere")
) -> Tree:
    """All of deploy/, sound but for the edits of the platform's file."""
    file = Files(parse(edited(PLATFORM, platform), "deploy/platform/monitoring.yaml"))
    return Tree(root, environments or (environment(),), (file,))
