"""Networks, small enough for a laptop, that a vmapped inner loop can differentiate twice."""
