"""ONNX files: the same answers as PyTorch's, small, and nothing private inside."""

import numpy as np
import onnx
import pytest
import torch
from tiny import tiny

from fer_utils.errors import FerError
from fer_utils.evaluation import predict_probabilities
from fer_utils.export import export_onnx, parity, quantize
from fer_utils.models import Recognizer, load_model
from fer_utils.photos import Predictor
from fer_utils.photos.network import OnnxNetwork
from fer_utils.shipped import SHIPPED, weights_path


def trained(name="compact-cnn", **settings):
    """A network whose batch norms have seen faces."""
    torch.manual_seed(0)
    model = Recognizer(name, **settings).train()
    images = torch.from_numpy(tiny(32).images)[:, None]
    with torch.no_grad():
        model(images)
    return model.eval()


FACES = tiny(20).images


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "compact-cnn"},
        {"name": "compact-cnn", "input_size": 40},  # shrunk, antialiased
        {"name": "custom-cnn", "classes": ("happy", "sad", "neutral")},
        {"name": "efficientnet-lite0", "input_size": 64},  # enlarged, ImageNet's norm
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_float_answers_equal_those_of_torch(settings, tmp_path):
    model = trained(**settings)
    path = export_onnx(model, tmp_path / "m.onnx", "float32")
    found = OnnxNetwork(path).probabilities(FACES, views=6)
    expected = predict_probabilities(model, FACES, views=6)
    assert OnnxNetwork(path).classes == model.classes
    assert np.abs(found - expected).max() < 1e-4


def test_half_the_bytes_for_the_same_answers(tmp_path):
    """The shipped weights are stored in half precision: nothing is rounded again."""
    model = load_model()
    whole = export_onnx(model, tmp_path / "whole.onnx", "float32")
    half = export_onnx(model, tmp_path / "half.onnx")
    assert half.stat().st_size < 0.52 * whole.stat().st_size
    found = [OnnxNetwork(path).probabilities(FACES) for path in (whole, half)]
    assert np.abs(found[0] - found[1]).max() < 1e-5


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_the_shipped_network(name):
    network, model = OnnxNetwork(name), load_model(name)
    found = network.probabilities(FACES, views=2)
    assert np.abs(found - predict_probabilities(model, FACES)).max() < 1e-4
    header, file = model.metadata, network.metadata
    for key in ("classes", "views", "temperature", "balance", "recipe", "scores"):
        assert file.get(key) == header.get(key)
    assert weights_path(name, ".onnx").stat().st_size <= 2.5e6


def test_int8_is_small_and_close(tmp_path):
    whole = export_onnx(load_model(), tmp_path / "whole.onnx", "float32")
    path = quantize(whole, tmp_path / "int8.onnx", tiny(200).images)
    assert path.stat().st_size <= 1.4e6
    small = OnnxNetwork(path)
    assert small.metadata["precision"] == "int8"
    found = small.probabilities(FACES)
    expected = OnnxNetwork(whole).probabilities(FACES)
    assert 0 < np.abs(found - expected).max() < 0.2
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"whole.onnx", "int8.onnx"}


def test_nothing_private_is_in_the_file(tmp_path):
    path = export_onnx(trained(), tmp_path / "m.onnx")
    inside = path.read_bytes()
    for word in (b"/site-packages", b"fer_utils/", b"Traceback", b"stack_trace"):
        assert word not in inside
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_metadata_goes_on_top(tmp_path):
    balance = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    path = tmp_path / "m.onnx"
    export_onnx(trained(), path, views=6, temperature=1.5, balance=balance)
    predictor = Predictor.load(path)
    plain = OnnxNetwork(path).probabilities(FACES, 6)
    odds = np.log(predictor.probabilities(FACES)) * 1.5 - np.log(plain)
    assert np.allclose(odds[:, 0] - odds[:, 1], np.log(2), atol=1e-3)
    assert np.allclose(odds[:, 2], odds[:, 1], atol=1e-3)
    assert predictor.views == 6 and predictor.temperature == 1.5
    assert predictor.model_name == "compact-cnn"


def test_bad_exports_are_refused(tmp_path):
    model = trained()
    with pytest.raises(FerError, match="precision 'half': use one of float32, float16"):
        export_onnx(model, tmp_path / "m.onnx", "half")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FerError, match="cannot be written"):
        export_onnx(model, tmp_path / "file" / "m.onnx")
    whole = export_onnx(model, tmp_path / "whole.onnx", "float32")
    for images in (FACES[:9], FACES.astype(float), FACES[0]):
        with pytest.raises(FerError, match="pass at least 64 faces"):
            quantize(whole, tmp_path / "int8.onnx", images)
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "other", "damaged"])
def test_bad_files_are_named(kind, tmp_path):
    path = tmp_path / "m.onnx"
    if kind == "other":  # a network, but none of ours
        graph = onnx.load(weights_path(None, ".onnx"))
        del graph.metadata_props[:]
        path.write_bytes(graph.SerializeToString())
    elif kind == "damaged":
        graph = onnx.load(weights_path(None, ".onnx"))
        onnx.helper.set_model_props(graph, {"model": '"x"', "classes": '["bored"]'})
        path.write_bytes(graph.SerializeToString())
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"This is not a network.")
    with pytest.raises(FerError, match=r"m\.onnx: (cannot be read|not a network that)"):
        Predictor.load(path)


def test_parity_counts():
    before = np.eye(3)[[0, 1, 2, 2]]
    after = np.eye(3)[[0, 1, 1, 2]] * 0.9
    found = parity(before, after, ("a", "b", "c"), np.array([0, 1, 2, 2]))
    assert found.flips == {"a": 0, "b": 0, "c": 1} and found.largest == 1
    assert found.accuracy == (1, 0.75)
    assert str(found).endswith(
        "1 of 4 faces named differently, accuracy 1.0000 → 0.7500"
    )
    with pytest.raises(FerError, match=r"pass two arrays \[N,classes\]"):
        parity(before, after[:2], ("a", "b", "c"))


@pytest.mark.parametrize("options", [(), ("--int8",)])
def test_the_command(options, tmp_path, fer):
    out = tmp_path / "mine.onnx"
    arguments = ("people", out, "--data", "sample", *options)
    code, printed, _ = fer("export", *arguments)
    assert code == 0 and "PublicTest: largest difference" in printed
    (face,) = Predictor.load(out).predict(FACES[0], assume_cropped=True)
    assert face.box == (0, 0, 48, 48)


def test_the_command_refuses(tmp_path, fer):
    for run, out in (("people", "m.bin"), (tmp_path / "none", "m.onnx")):
        arguments = (run, tmp_path / out, "--data", "sample")
        code, printed, _ = fer("export", *arguments)
        assert code and not printed and not (tmp_path / out).exists()
