"""`fer export`: a run → an ONNX file, and what that changed."""

import tempfile
from pathlib import Path

import numpy as np

from ..data import FER2013
from ..errors import FerError
from ..evaluation import predict_probabilities
from ..export import export_onnx, parity, quantize
from ..models import Recognizer, load_model
from ..photos.network import OnnxNetwork

CALIBRATION = 1000  # Training faces, drawn


def export_run(run: Path, out: Path, int8: bool, data: FER2013) -> None:
    """Export a run's folder or a weights file; print size, and parity on PublicTest."""
    if out.suffix.lower() != ".onnx":
        raise FerError(f"{out}: name a file that ends in .onnx")
    model = load_model(run / "model.safetensors" if run.is_dir() else run)
    write(model, out, int8, data)
    val = data.with_classes(",".join(model.classes)).split().val
    network = OnnxNetwork(out)
    before = predict_probabilities(model, val.images, 1, progress=True)
    after = network.probabilities(val.images, 1)
    size, precision = out.stat().st_size / 1e6, network.metadata["precision"]
    print(f"{out}: {size:.2f} MB, weights in {precision}")
    print(f"PublicTest: {parity(before, after, model.classes, val.labels)}")


def write(model: Recognizer, out: Path, int8: bool, data: FER2013) -> None:
    """Write the network; with `int8` by way of a float32 file, calibrated on `data`."""
    if not int8:
        export_onnx(model, out)
        return
    train = data.with_classes(",".join(model.classes)).split().train
    drawn = np.random.default_rng(0).permutation(len(train))[:CALIBRATION]
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(model, Path(folder, "whole.onnx"), "float32")
        quantize(whole, out, train.images[np.sort(drawn)])
