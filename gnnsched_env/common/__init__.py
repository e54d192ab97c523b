"""What every room stands on: errors, checks, files, stored arrays, caches, progress, and the shape of a policy."""
