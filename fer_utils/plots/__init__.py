"""Every figure of the notebooks and the report, in one style.

Functions return a `Picture`, which shows itself at the end of a notebook cell and is
saved with `savefig`. They draw on no global state, so nothing is ever shown twice.
"""

from .data import (
    augmentation_throughput,
    class_counts,
    emotions,
    faces,
    pixel_statistics,
    transformed_images,
)
from .explain import grad_cam, predictions
from .photo import answers, inference_process, stock_image
from .scores import (
    bars,
    best_of,
    calibration,
    clean_full,
    columns,
    confusion_matrix,
    coverage,
    model_comparison,
    second_choices,
    spread,
)
from .style import Picture
from .training import (
    curves,
    fine_tuning,
    histories,
    ladder,
    loss_info,
    plateau,
    resolution,
    weight_movement,
)

__all__ = [
    "Picture",
    "answers",
    "augmentation_throughput",
    "bars",
    "best_of",
    "calibration",
    "class_counts",
    "clean_full",
    "columns",
    "confusion_matrix",
    "coverage",
    "curves",
    "emotions",
    "faces",
    "fine_tuning",
    "grad_cam",
    "histories",
    "inference_process",
    "ladder",
    "loss_info",
    "model_comparison",
    "pixel_statistics",
    "plateau",
    "predictions",
    "resolution",
    "second_choices",
    "spread",
    "stock_image",
    "transformed_images",
    "weight_movement",
]
