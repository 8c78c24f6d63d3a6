#!/usr/bin/env bash
# End the callers, count what they met, draw the picture. Fails where a caller of the good release or
# of the revert was failed: only the bad one may fail any, and only its own share.
set -euo pipefail
source "$(dirname "$0")/versions.env"
for name in callers door; do
  kill "$(cat "$OUT/$name.pid")" || true
  timeout 30 tail --pid="$(cat "$OUT/$name.pid")" --follow /dev/null || true # what it met is written at its end
done
kubectl get rollouts,analysisruns,httproutes,events --namespace "$NAMESPACE" --output=yaml >"$OUT/cluster.yaml" || true
python "$(dirname "$0")/drawn.py" "$OUT"
