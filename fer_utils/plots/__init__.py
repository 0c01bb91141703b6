"""Every figure of the notebooks and the report, in one style.

The functions return a `Picture`, which shows itself at the end of a notebook cell and
is saved with `savefig`. They change no global state, so nothing is shown twice.
"""

from ..lazy import need

need("matplotlib seaborn", "drawing figures", "course")

from .data import (
    augmentation_throughput,
    class_counts,
    emotions,
    face_grid,
    faces,
    pixel_statistics,
    transformed_images,
)
from .gradcam import grad_cam, predictions
from .photo import (
    inference_process,
    probability_bars,
    stock_image,
    stress,
    timeline,
)
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
