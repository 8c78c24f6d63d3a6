#!/usr/bin/env bash
# The platform as it ships, onto real API servers: kinds, fields and CEL rules are checked by them.
# Secrets are made here, for this cluster, and end with it.
set -euo pipefail
source "$(dirname "$0")/versions.env"
platform=$(dirname "$0")/../platform
umask 077
mkdir -p "$OUT"
secret() {
  kubectl create secret generic "$1" --namespace "$NAMESPACE" "${@:2}" --dry-run=client --output=yaml | kubectl apply --filename -
}
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$HOST" -addext "subjectAltName=DNS:$HOST" \
  -keyout "$OUT/tls.key" -out "$OUT/tls.crt"
kubectl create secret tls edge-tls --namespace "$NAMESPACE" --cert="$OUT/tls.crt" --key="$OUT/tls.key" \
  --dry-run=client --output=yaml | kubectl apply --filename -
rm -f "$OUT/keys.json"
PREFLIGHT_KEYS=$OUT/keys.json preflight keys add drill --scope predict --scope outcomes >"$OUT/key"
openssl rand -hex 32 >"$OUT/hash.key"
secret taxi-keys --from-file="$OUT/keys.json"
secret taxi-hash-key --from-file="$OUT/hash.key"
secret edge-callers --from-literal="drill=$(cat "$OUT/key")"
kubectl apply --kustomize "$platform/rollouts"
kubectl rollout restart --namespace argo-rollouts deployment/argo-rollouts # plugins are read at its start
kubectl rollout status --timeout=5m --namespace argo-rollouts deployment/argo-rollouts
kubectl apply --filename "$platform/gateway/class.yaml"
kubectl apply --kustomize "$platform/gateway/$ENVIRONMENT"
kubectl apply --kustomize "$platform/monitoring"
kubectl apply --kustomize "$platform/argocd"
kubectl apply --filename "$(dirname "$0")/prometheus.yaml"
