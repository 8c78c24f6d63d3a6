"""The rehearsal of a rollout: a real proxy, both arms and the judge, on this machine."""
