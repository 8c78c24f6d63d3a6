#!/usr/bin/env bash
# A registry beside kind's nodes, which they take for registry.example: the manifests name images by
# digest, and an image that is only loaded into a node has none.
set -euo pipefail
source "$(dirname "$0")/versions.env"
docker run --detach --restart=always --name registry --publish "127.0.0.1:$REGISTRY:5000" "$REGISTRY_IMAGE"
docker network connect kind registry
for node in $(kind get nodes --name "${CLUSTER:-drill}"); do
  docker exec "$node" mkdir -p /etc/containerd/certs.d/registry.example
  echo '[host."http://registry:5000"]' |
    docker exec --interactive "$node" cp /dev/stdin /etc/containerd/certs.d/registry.example/hosts.toml
done
