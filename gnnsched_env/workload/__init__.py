"""Job classes: the inference requests that jobs make, from graph files or from the embedded synthetic families."""

from gnnsched_env.workload.job_classes import JobClasses, classes_from_files, synthetic_classes

__all__ = ["JobClasses", "classes_from_files", "synthetic_classes"]
