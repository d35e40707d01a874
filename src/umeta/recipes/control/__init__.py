"""Complete named runs in an environment without a reward."""
