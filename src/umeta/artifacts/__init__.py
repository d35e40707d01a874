"""Everything that a run leaves on disk: safetensors, JSON and hashes; never pickle."""
