"""What a cluster is told: manifests read, checked, rendered and rolled back."""
