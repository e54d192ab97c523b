"""Latency prediction: synthetic training sets, features, regressors, scores, and the tables that they fill."""

from gnnsched_env.latency.dataset import Dataset, Inputs, job_inputs, training_dataset
from gnnsched_env.latency.features import FEATURE_NAMES, job_features
from gnnsched_env.latency.regressors import GradientBoostingRegressor, Regressor
from gnnsched_env.latency.scores import Scores, mape, regret, score_predictions, selection_accuracy
from gnnsched_env.latency.tables import PREDICTORS, build_table, default_table
from gnnsched_env.latency.training_graphs import TrainingSpec, training_classes

__all__ = [
    "FEATURE_NAMES",
    "PREDICTORS",
    "Dataset",
    "GradientBoostingRegressor",
    "Inputs",
    "Regressor",
    "Scores",
    "TrainingSpec",
    "build_table",
    "default_table",
    "job_features",
    "job_inputs",
    "mape",
    "regret",
    "score_predictions",
    "selection_accuracy",
    "training_classes",
    "training_dataset",
]
