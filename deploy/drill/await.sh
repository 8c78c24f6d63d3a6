#!/usr/bin/env bash
# Wait until the rollout was `promoted` or `aborted`, at most SECONDS; the other end is a failure.
# A line of OUT/timeline.csv each look: time, canary's weight, phase, the judge's last word.
set -euo pipefail
source "$(dirname "$0")/versions.env"
wanted=$1 deadline=$((SECONDS + $2))
rollout() { kubectl get rollout taxi --namespace "$NAMESPACE" --output="jsonpath=$1"; }
state() {
  local phase abort stable now seen made
  # Separated by a mark: a field that is not there must not move the others.
  IFS='|' read -r phase abort stable now seen made < <(
    rollout '{.status.phase}|{.status.abort}|{.status.stableRS}|{.status.currentPodHash}|{.status.observedGeneration}|{.metadata.generation}{"\n"}'
  )
  if [ "$seen" != "$made" ]; then echo unseen
  elif [ "$abort" = true ]; then echo aborted
  elif [ "$phase" = Healthy ] && [ "$stable" = "$now" ]; then echo promoted
  else echo "$phase"; fi
}
look() {
  local weight said
  weight=$(kubectl get httproute taxi --namespace "$NAMESPACE" --output="jsonpath={.spec.rules[0].backendRefs[1].weight}")
  said=$(kubectl get analysisruns --namespace "$NAMESPACE" --sort-by=.metadata.creationTimestamp \
    --output='jsonpath={.items[-1:].status.metricResults[0].measurements[-1:].value}' || true)
  echo "$(date +%s),$weight,$1,$said" >>"$OUT/timeline.csv"
}
while [ "$SECONDS" -lt "$deadline" ]; do
  found=$(state)
  look "$found"
  case $found in
    "$wanted") echo "$wanted after $SECONDS s" && exit 0 ;;
    promoted | aborted) echo "$found, and not $wanted" >&2 && exit 1 ;;
  esac
  sleep "${EVERY:-5}"
done
echo "not $wanted within $2 s: $found" >&2
exit 1
