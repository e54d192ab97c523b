"""How rankers are trained: losses, segments, portions of a program, and the loop."""
