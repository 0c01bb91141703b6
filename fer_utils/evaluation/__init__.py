"""From probabilities to scores: how often right, how sure, how reliably better."""

from ..lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "calibration": (
            "apply_balance",
            "apply_temperature",
            "calibration_by_class",
            "calibration_curve",
            "calibration_error",
            "coverage_curve",
            "fit_balance",
            "fit_temperature",
            "threshold_for",
        ),
        "gradcam": ("class_evidence", "grad_cam"),
        "people": ("PeopleScores", "people_scores"),
        "predict": ("TorchNetwork", "predict_probabilities"),
        "scores": ("Scores", "evaluate", "score", "second_choices"),
        "significance": ("compare", "difference", "interval", "level_of_each"),
        "slices": ("Slice", "sliced", "thirds"),
        "stress": ("AXES", "Stress", "mean_of_axes", "stress_card"),
        "tta": ("average_views", "check_views", "tta_views"),
    },
)
