#!/usr/bin/env bash
# The real controllers, each from its own release; waits until they are there.
set -euo pipefail
source "$(dirname "$0")/versions.env"
release() { echo "https://github.com/$1/releases/download/$2/$3"; }
for name in argo-rollouts argocd monitoring taxi-staging taxi-production; do
  kubectl create namespace "$name" --dry-run=client --output=yaml | kubectl apply --filename -
done
# Server-side: the kinds are larger than the annotation that a client-side apply keeps.
kubectl apply --server-side --filename "$(release envoyproxy/gateway "$ENVOY_GATEWAY" install.yaml)"
kubectl apply --server-side --namespace argo-rollouts \
  --filename "$(release argoproj/argo-rollouts "$ARGO_ROLLOUTS" install.yaml)"
kubectl apply --server-side --filename "$(release prometheus-operator/prometheus-operator "$PROMETHEUS_OPERATOR" bundle.yaml)"
kubectl apply --server-side --kustomize "https://github.com/argoproj/argo-cd/manifests/crds?ref=$ARGO_CD"
kubectl wait --for=condition=Available --timeout=5m --namespace envoy-gateway-system deployment/envoy-gateway
kubectl wait --for=condition=Available --timeout=5m --namespace argo-rollouts deployment/argo-rollouts
kubectl wait --for=condition=Available --timeout=5m --namespace default deployment/prometheus-operator
