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
from .photo import answers, inference_process, stock_image
from .scores import bars, confusion_matrix
from .style import Picture
from .training import histories, loss_info

__all__ = [
    "Picture",
    "answers",
    "augmentation_throughput",
    "bars",
    "class_counts",
    "confusion_matrix",
    "emotions",
    "faces",
    "histories",
    "inference_process",
    "loss_info",
    "pixel_statistics",
    "stock_image",
    "transformed_images",
]
