#!/usr/bin/env bash
# Callers, through TLS, key and gateway, until the drill ends; what they met is in OUT/answers.jsonl.
set -euo pipefail
source "$(dirname "$0")/versions.env"
owner="gateway.envoyproxy.io/owning-gateway-namespace=$NAMESPACE"
kubectl wait --for=condition=Programmed --timeout=5m --namespace "$NAMESPACE" gateway/edge
service=$(kubectl get service --namespace envoy-gateway-system --selector "$owner" --output=name)
kubectl port-forward --namespace envoy-gateway-system "$service" "$DOOR:443" >"$OUT/door.log" 2>&1 &
echo $! >"$OUT/door.pid"
python "$(dirname "$0")/callers.py" "$HOST" "$DOOR" "$RATE" "$OUT" >"$OUT/callers.log" 2>&1 &
echo $! >"$OUT/callers.pid"
