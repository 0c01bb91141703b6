"""Optimisers and schedules: which weights move, how far, and when."""

import io

import numpy as np
import pytest
import torch

from fer_utils.models import Recognizer, freeze
from fer_utils.training import Recipe, make_optimizers, make_scheduler, orthogonalised

SMALL = Recipe("small", epochs=3, batch_size=16, augment="none")


def rates(chosen: Recipe, steps: int) -> list[float]:
    (optimizer,) = make_optimizers(chosen, Recognizer("compact-cnn"))
    scheduler = make_scheduler(chosen, optimizer, steps)
    out = []
    for _ in range(steps * chosen.epochs):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*[1.0] * (chosen.schedule == "plateau"))
    return [*out, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("schedule", "first", "peak", "last"),
    [
        ("constant", 1, 1, 1),
        ("cosine", 1, 1, 0),
        ("onecycle", 1 / 25, 1, 4e-6),
        ("triangle", 1 / 25, 1, 4e-6),
        ("plateau", 1, 1, 0.5**3),
    ],
)
def test_schedule(schedule, first, peak, last):
    got = rates(SMALL.with_(schedule=schedule, lr=1, epochs=3), 5)
    assert (got[0], max(got)) == pytest.approx((first, peak), rel=1e-2)
    assert got[-1] == pytest.approx(last, abs=1e-8)


@pytest.mark.parametrize("warmup", [0, 0.5, 0.95])
@pytest.mark.parametrize("epochs", [2, 20])
def test_onecycle_always_peaks_and_ends(warmup, epochs):
    got = rates(SMALL.with_(warmup=warmup, lr=1, epochs=epochs), 1)
    assert np.isfinite(got).all() and got[-1] == pytest.approx(4e-6, abs=1e-8)
    if epochs == 20:
        assert abs(np.argmax(got) - 20 * warmup) <= 1


def test_triangle_is_made_of_straight_lines():
    got = rates(SMALL.with_(schedule="triangle", warmup=0.25, lr=1, epochs=20), 1)
    assert np.argmax(got) == 5 and np.allclose(np.diff(got, 2)[6:], 0, atol=1e-6)


def test_weight_decay_spares_biases_and_norms():
    for name in ("adamw", "adam", "sgd", "muon"):
        chosen = SMALL.with_(optimizer=name, weight_decay=0.5)
        optimizers = make_optimizers(chosen, Recognizer("compact-cnn"))
        groups = [group for one in optimizers for group in one.param_groups]
        for group in groups:
            assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
        assert {group["weight_decay"] for group in groups} == {0.5, 0}


SHAPES = [(16, 9), (64, 576), (128, 64), (64, 32), (1, 9)]


def test_orthogonalising_evens_out_the_directions():
    torch.manual_seed(0)
    matrices = [
        torch.randn(shape) @ torch.diag(torch.logspace(0, -2, shape[1]))
        for shape in SHAPES
    ]
    for matrix, found in zip(matrices, orthogonalised(matrices), strict=True):
        before, after = map(torch.linalg.svdvals, (matrix, found))
        assert found.shape == matrix.shape and 0.5 < after.max() < 1.3
        if min(matrix.shape) > 1:
            assert after[0] / after[-1] < before[0] / before[-1]
    zeros = [torch.zeros(shape) for shape in SHAPES]
    assert all(map(torch.equal, orthogonalised(zeros), zeros))
    assert orthogonalised([]) == []


def test_orthogonalising_is_what_it_is_step_by_step():
    """The products in another order, as notebook 8 has them: one matrix at a time."""
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in SHAPES]
    for matrix, found in zip(matrices, orthogonalised(matrices), strict=True):
        x = matrix / matrix.norm()
        for _ in range(3):
            square = x @ x.T
            x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
        assert torch.allclose(found, x, atol=1e-5)


def test_muon_is_for_convolutions_and_adamw_for_the_rest():
    model = Recognizer("compact-cnn")
    adamw, muon = make_optimizers(SMALL.with_(optimizer="muon"), model)
    assert type(adamw) is torch.optim.AdamW and not isinstance(muon, torch.optim.AdamW)
    mine, others = (
        {weight for group in one.param_groups for weight in group["params"]}
        for one in (muon, adamw)
    )
    assert {weight.ndim for weight in mine} == {4} and model.net.head[
        1
    ].weight in others
    assert not mine & others and mine | others == {*model.parameters()}
    freeze(model)
    (alone,) = make_optimizers(SMALL.with_(optimizer="muon"), model)
    assert type(alone) is torch.optim.AdamW, "a head has no convolutions"


def test_muon_goes_on_where_it_stopped():
    images, labels = torch.rand(8, 1, 24, 24), torch.arange(8) % 7

    def step(model, optimizers):
        torch.manual_seed(0)
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        for optimizer in optimizers:
            optimizer.step()

    chosen = SMALL.with_(optimizer="muon")
    one, other = (Recognizer("compact-cnn", input_size=24) for _ in range(2))
    first, second = (make_optimizers(chosen, model) for model in (one, other))
    step(one, first)
    other.load_state_dict(one.state_dict())
    # Through a file, as a stopped training does it: in memory the buffers are shared.
    stored = io.BytesIO()
    torch.save([optimizer.state_dict() for optimizer in first], stored)
    stored.seek(0)
    for optimizer, saved in zip(second, torch.load(stored), strict=True):
        optimizer.load_state_dict(saved)
    step(one, first)
    step(other, second)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_part_has_its_own_rate():
    model = Recognizer("compact-cnn")
    freeze(model, 2)
    chosen = SMALL.with_(lr=1e-2, lr_body=1e-3, schedule="onecycle")
    (optimizer,) = make_optimizers(chosen, model)
    got = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert got[model.net.head[1].weight] == 1e-2
    assert got[model.net.body[-1][0].weight] == 1e-3
    assert model.net.stem[0].weight not in got and len(model.net.body) == 5
    scheduler = make_scheduler(chosen, optimizer, 5)
    assert scheduler.state_dict()["total_steps"] == 5 * chosen.epochs + 1
    assert optimizer.param_groups[0]["lr"] > optimizer.param_groups[-1]["lr"]


def test_sgd_keeps_its_momentum_under_onecycle():
    chosen = SMALL.with_(optimizer="sgd")
    (optimizer,) = make_optimizers(chosen, Recognizer("compact-cnn"))
    make_scheduler(chosen, optimizer, 5)
    assert optimizer.param_groups[0]["momentum"] == 0.9
