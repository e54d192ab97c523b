"""Latency prediction: synthetic training jobs, features, predictors, scores, and the tables they fill."""

from gnnsched_env.predictors.closed_form import ClosedFormPredictor
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs, job_inputs, labelled, single_layers
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.datasets.training_set import TrainingSet
from gnnsched_env.predictors.exact import ExactPredictor
from gnnsched_env.predictors.features import FEATURES, Feature, feature_names, graph_features
from gnnsched_env.predictors.latency_tables import build_table, default_table, with_log_errors
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import Job, Predictor
from gnnsched_env.predictors.registry import DEFAULT_PREDICTOR, EXACT, PREDICTORS, check_predictor, make_predictor
from gnnsched_env.predictors.scores import Scores, mape, regret, score_predictions, selection_accuracy
from gnnsched_env.predictors.trees.tree_predictor import TreePredictor

__all__ = [
    "DEFAULT_PREDICTOR",
    "EXACT",
    "FEATURES",
    "PREDICTORS",
    "ClosedFormPredictor",
    "Dataset",
    "DatasetSpec",
    "ExactPredictor",
    "Feature",
    "Inputs",
    "Job",
    "Level",
    "Predictor",
    "Scores",
    "TrainingSet",
    "TreePredictor",
    "build_table",
    "check_predictor",
    "default_table",
    "feature_names",
    "graph_features",
    "job_inputs",
    "labelled",
    "make_predictor",
    "mape",
    "regret",
    "score_predictions",
    "selection_accuracy",
    "single_layers",
    "training_chunk",
    "with_log_errors",
]
