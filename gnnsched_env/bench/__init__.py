"""gnnsched-bench: frozen tasks to compete on, scores with intervals, results that can be checked."""
