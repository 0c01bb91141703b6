"""From probabilities to scores: how often right, how sure, how reliably better."""

from .calibration import (
    apply_temperature,
    calibration_curve,
    calibration_error,
    coverage_curve,
    fit_temperature,
    threshold_for,
)
from .gradcam import class_evidence, grad_cam
from .scores import Scores, evaluate, score, second_choices
from .significance import compare, interval
from .tta import predict_probabilities, tta_views
