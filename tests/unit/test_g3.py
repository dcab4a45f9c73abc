"""G3's heads against a plain, separate reading of the published architecture."""

import numpy as np
import numpy.typing as npt
import torch
from pyproj import Transformer

from encoders.base import EncoderCard, retrieval_vectors
from encoders.families.g3 import G3Config, G3Heads
from encoders.heads import Batch, PhotoFeatures

Array = npt.NDArray[np.float64]


def heads(seed: int = 5, *, text: bool = True) -> G3Heads:
    torch.manual_seed(seed)
    return G3Heads(
        G3Config(backbone_width=24, width=24, location_width=16, hidden=40, features=12, text=text)
    ).eval()


class PlainG3:
    """G3 in numpy and double precision, written from the paper's description, not from ours."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = {key: value.double().numpy() for key, value in state.items()}
        self.project = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)

    def linear(self, x: Array, name: str) -> Array:
        return np.asarray(x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"])

    def mlp(self, x: Array, name: str) -> Array:
        return self.linear(np.maximum(self.linear(x, f"{name}.0"), 0), f"{name}.2")

    def photo(self, clip: Array) -> Array:
        parts = [clip, self.mlp(clip, "image_text_head"), self.mlp(clip, "image_gps_head")]
        return np.concatenate([p / np.linalg.norm(p, axis=1, keepdims=True) for p in parts], axis=1)

    def place(self, latitude: Array, longitude: Array) -> Array:
        x, y = self.project.transform(longitude, latitude)
        # G3 rounds the projected plane to single precision before the frequencies.
        flat = (np.stack([y, x], axis=1) / 20037508.3427892).astype(np.float32).astype(np.float64)
        total: Array = np.zeros((len(flat), 16))
        for number in range(3):
            name = f"location_encoder.LocEnc{number}"
            phase = 2 * np.pi * flat @ self.state[f"{name}.capsule.0.b"].T
            hidden = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
            for layer in (1, 3, 5):
                hidden = np.maximum(self.linear(hidden, f"{name}.capsule.{layer}"), 0)
            total = total + self.linear(hidden, f"{name}.head.0")
        out = self.mlp(total, "location_head")
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))


def test_vectors_are_those_of_a_plain_reading() -> None:
    ours, generator = heads(), np.random.default_rng(1)
    plain = PlainG3(ours.state_dict())
    clip = generator.normal(size=(50, 24))
    points = generator.uniform((-85, -180), (85, 180), (200, 2))
    with torch.inference_mode():
        photos = ours.encode_photos(PhotoFeatures(torch.from_numpy(clip).float()))
        places = ours.encode_points(torch.from_numpy(points))["gps"].numpy()
    found = np.concatenate([photos[space].numpy() for space in ("clip", "text", "gps")], axis=1)
    assert np.abs(found - plain.photo(clip)).max() < 1e-5
    assert np.abs(places - plain.place(points[:, 0], points[:, 1])).max() < 1e-4


def test_the_index_score_is_the_sum_of_three_cosines() -> None:
    ours = heads()
    card = EncoderCard("g3", "x", ours.spaces, retrieval=ours.retrieval)
    with torch.inference_mode():
        photos = ours.encode_photos(PhotoFeatures(torch.randn(6, 24)))
    vectors = {space: rows.numpy() for space, rows in photos.items()}
    index = retrieval_vectors(card, vectors)
    cosines = sum(vectors[space] @ vectors[space].T for space in ("clip", "text", "gps"))
    assert index.shape == (6, 72)
    assert np.abs(index @ index.T - cosines).max() < 1e-5


def test_published_sizes_are_the_defaults() -> None:
    config = G3Config()
    assert (config.backbone_width, config.width, config.location_width) == (768, 768, 512)
    shapes = {name: tuple(p.shape) for name, p in G3Heads().state_dict().items()}
    assert shapes["location_encoder.LocEnc2.capsule.0.b"] == (256, 2)
    assert shapes["location_encoder.LocEnc0.capsule.1.weight"] == (1024, 512)
    assert shapes["location_encoder.LocEnc1.head.0.weight"] == (512, 1024)
    assert shapes["location_head.0.weight"] == (512, 512)
    assert shapes["location_head.2.weight"] == (768, 512)
    assert shapes["image_gps_head.2.weight"] == (768, 768)
    assert sum(G3Heads().spaces.values()) == 2304


def test_the_loss_falls_and_reaches_every_weight() -> None:
    model = heads().train()
    batch = Batch(
        PhotoFeatures(torch.randn(16, 24)),
        torch.rand(16, 2, dtype=torch.float64) * 60,
        captions=torch.randn(16, 24),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        terms = model.loss(model(batch))
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert set(terms) == {"photo_gps", "photo_text"}
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_without_text_the_heads_are_gone() -> None:
    model = heads(text=False)
    assert model.retrieval == ("clip", "gps")
    assert not model.needs
    assert not any("text" in name for name in model.state_dict())
    embedded = model(Batch(PhotoFeatures(torch.randn(3, 24)), torch.zeros(3, 2).double()))
    assert set(model.loss(embedded)) == {"photo_gps"}
