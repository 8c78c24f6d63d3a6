#!/usr/bin/env bash
# After an abort: all traffic must be on stable already, and the revert must bring Git and cluster
# together at once, without steps. OUT/recovered.json says how long each took.
set -euo pipefail
source "$(dirname "$0")/versions.env"
here=$(dirname "$0")
weight() { kubectl get httproute taxi --namespace "$NAMESPACE" --output="jsonpath={.spec.rules[0].backendRefs[1].weight}"; }
until [ "$(weight)" = 0 ]; do
  [ "$SECONDS" -lt 60 ] || { echo "a minute after the abort the canary has weight $(weight)" >&2; exit 1; }
  sleep 1
done
off=$SECONDS
"$here/release.sh" "$1"
EVERY=1 "$here/await.sh" promoted 120
echo "{\"canary_without_traffic_seconds\": $off, \"reverted_seconds\": $((SECONDS - off))}" | tee "$OUT/recovered.json"
