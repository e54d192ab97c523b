"""How a policy that learns does over its training: what it is measured by, and the curve."""
