"""Files of strangers: read where they are plain tensors, refused in one line where they are not."""

import io
import math
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from encoders import checkpoints
from encoders.checkpoints import (
    G3_KEYS,
    family_of,
    fit_keys,
    g3_towers,
    import_heads,
    import_state,
    load_geoclip,
    read_state,
)
from encoders.families.g3 import G3Heads
from encoders.heads import Heads
from encoders.number_check import check_geoclip_numbers, check_numbers, fixed_photos
from encoders.state_files import BARE
from encoders.weights import GEOCLIP_FILES, geoclip_folder
from geo.errors import InputError
from tests.unit.encoder_samples import SMALL, tiny_heads

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Bomb:
    """Its pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_state(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def saved(value: object, path: Path, *, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        OrderedDict,
        lambda state: {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": {"x": [1]}},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {key: nn.Parameter(value) for key, value in state.items()},
    ],
)
def test_plain_state_dicts_are_read(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], object], legacy: bool
) -> None:
    found = read_state(saved(wrap(STATE), tmp_path / "f.pth", legacy=legacy))
    assert list(found) == list(STATE)
    for key, tensor in found.items():
        assert torch.equal(tensor, STATE[key])
        assert not tensor.requires_grad


def test_other_types_and_a_bare_tensor(tmp_path: Path) -> None:
    half = {"h": torch.ones(2, dtype=torch.bfloat16), "i": torch.ones(2, dtype=torch.int64)}
    assert read_state(saved(half, tmp_path / "f.pth"))["h"].dtype == torch.bfloat16
    scalar = read_state(saved(torch.tensor(3.5), tmp_path / "s.pth"))
    assert list(scalar) == [BARE]
    assert float(scalar[BARE]) == 3.5


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file({f"module.{key}": value for key, value in STATE.items()}, tmp_path / "f.any")
    assert set(read_state(tmp_path / "f.any")) == set(STATE)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module_is_refused_with_the_way_to_convert_it(
    tmp_path: Path, legacy: bool
) -> None:
    message = refused(saved(nn.Linear(2, 2), tmp_path / "f.pth", legacy=legacy))
    assert "torch.nn.modules.linear.Linear" in message
    assert "state_dict()" in message


def bomb_in_archive(path: Path, bomb: Bomb) -> None:
    saved(STATE, path)
    with zipfile.ZipFile(path) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, data in parts.items():
            new.writestr(name, pickle.dumps(bomb, 2) if name.endswith("data.pkl") else data)


def bomb_in_wrapper(path: Path, bomb: Bomb) -> None:
    saved({"model_state_dict": STATE, "note": bomb}, path)


def bomb_in_old_form(path: Path, bomb: Bomb) -> None:
    saved({"note": bomb}, path, legacy=True)


def bomb_in_sys_info(path: Path, bomb: Bomb) -> None:
    with path.open("wb") as file:
        parts: list[Any] = [0x1950A86A20F9469CFC6C, 1001, bomb, {}, []]
        for part in parts:
            pickle.dump(part, file, protocol=2)


def bomb_alone(path: Path, bomb: Bomb) -> None:
    path.write_bytes(pickle.dumps(bomb))


def bomb_by_stack(path: Path, bomb: Bomb) -> None:
    bomb_in_archive(path, bomb)
    with zipfile.ZipFile(path) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in parts.items():
            new.writestr(name, pickle.dumps(bomb, 4) if name.endswith("data.pkl") else part)


@pytest.mark.parametrize(
    "make",
    [
        bomb_in_archive,
        bomb_in_wrapper,
        bomb_in_old_form,
        bomb_in_sys_info,
        bomb_alone,
        bomb_by_stack,
    ],
)
def test_code_in_a_checkpoint_never_runs(
    tmp_path: Path, make: Callable[[Path, Bomb], None]
) -> None:
    proof = tmp_path / "it-ran"
    make(tmp_path / "f.pth", Bomb(proof))
    refused(tmp_path / "f.pth")
    assert not proof.exists()


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02N.")
        archive.writestr("model/constants.pkl", b"\x80\x02N.")
        archive.writestr("model/code/__torch__.py", "")
    assert "TorchScript" in refused(tmp_path / "f.pt")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "git lfs pull"),
        (b"<!DOCTYPE html><title>Sign in</title>", "is text"),
        (b'{"error": "Invalid credentials"}', "is text"),
        (b"\x1f\x8b\x08\x00rest", "unpack"),
        (b"\x00\xff\x12\x13" * 20, "no checkpoint that we know"),
        (b"PK\x03\x04" + b"\x00" * 40, "damaged"),
        (pickle.dumps({"a": 1}), "bare pickle"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "f.pth"
    path.write_bytes(data)
    assert said in refused(path)


def test_other_contents_are_named(tmp_path: Path) -> None:
    assert "not a file that is there" in refused(tmp_path / "none")
    (tmp_path / "d").mkdir()
    assert "a folder" in refused(tmp_path / "d")
    assert "an empty dict" in refused(saved({}, tmp_path / "e.pth"))
    assert "holds list" in refused(saved([torch.ones(1)], tmp_path / "l.pth"))
    assert "'epoch'" in refused(saved({"epoch": 1, **STATE}, tmp_path / "m.pth"))
    assert "no named tensors" in refused(saved({1: torch.ones(1)}, tmp_path / "n.pth"))
    with zipfile.ZipFile(tmp_path / "z.pth", "w") as archive:
        archive.writestr("readme", "hello")
    assert "ZIP archive" in refused(tmp_path / "z.pth")


def forms() -> dict[str, bytes]:
    found = {"safetensors": save(STATE)}
    for name, legacy in (("archive", False), ("old", True)):
        buffer = io.BytesIO()
        torch.save(STATE, buffer, _use_new_zipfile_serialization=not legacy)
        found[name] = buffer.getvalue()
    return found


@pytest.mark.parametrize("form", ["safetensors", "archive", "old"])
def test_a_file_that_was_cut_is_refused_wherever(tmp_path: Path, form: str) -> None:
    data = forms()[form]
    path = tmp_path / "f.pth"
    for end in sorted({*range(0, len(data), max(len(data) // 40, 1)), len(data) - 1}):
        path.write_bytes(data[:end])
        refused(path)


@pytest.mark.parametrize("form", ["safetensors", "archive", "old"])
def test_damage_gives_tensors_or_a_refusal_and_nothing_else(tmp_path: Path, form: str) -> None:
    whole, draw = forms()[form], random.Random(4)
    path, refusals = tmp_path / "f.pth", list[str]()
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 4, 30))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            assert all(isinstance(one, Tensor) for one in read_state(path).values())
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert not any("\n" in message for message in refusals)


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    draw, path = random.Random(5), tmp_path / "f.pth"
    for beginning in (b"", b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."):
        for length in (1, 9, 200, 3000):
            path.write_bytes(beginning + draw.randbytes(length))
            refused(path)
    path.write_bytes((50).to_bytes(8, "little") + b"{" + draw.randbytes(300))
    refused(path)


def test_keys_that_do_not_fit_are_all_listed_and_nothing_is_copied() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = {f"extra{number}": torch.ones(1) for number in range(5)}
    state |= {
        "0.weight": torch.ones(2, 4),
        "0.bias": torch.ones(2, dtype=torch.int64),
        "1.weight": torch.full((2, 2), math.nan),
    }
    with pytest.raises(InputError) as caught:
        fit_keys(module, state)
    message = str(caught.value)
    assert "missing: 1.bias, 2.weight, 2.bias" in message
    assert "unexpected: extra0, extra1, extra2, ... (5 in all)" in message
    assert "0.weight [2, 4], not [2, 3]" in message
    assert "0.bias torch.int64, not torch.float32" in message
    assert "not finite: 1.weight" in message
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_keys_are_renamed_ignored_and_cast() -> None:
    module = nn.Linear(3, 2)
    state = {
        "head.weight": torch.ones(2, 3, dtype=torch.float16),
        "head.bias": torch.ones(2),
        "tower.x": torch.ones(1),
        "y.position_ids": torch.ones(1),
    }
    fit_keys(module, state, rename={"head.": "", "tower.": None}, ignore=("position_ids",))
    assert torch.equal(module.weight.detach(), torch.ones(2, 3))


def published(heads: Heads) -> dict[str, Tensor]:
    """G3's heads under its published names, among everything else that its file holds."""
    names = {ours: theirs for theirs, ours in G3_KEYS.items() if ours}
    state = {}
    for key, value in heads.state_dict().items():
        ours = next(one for one in names if key.startswith(one))
        state[names[ours] + key[len(ours) :]] = value
    return state | {
        "logit_scale3": torch.tensor(3.99),
        "vision_model.embeddings.position_ids": torch.arange(5)[None],
        "vision_model.embeddings.class_embedding": torch.ones(4),
        "text_model.final_layer_norm.bias": torch.ones(4),
        "vision_projection.weight": torch.ones(4, 4),
        "text_projection.weight": torch.ones(4, 4),
    }


def drawn(heads: Heads, seed: int = 3) -> Heads:
    """Give every tensor values that tell it from all others."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in heads.state_dict().values():
        if tensor.dim():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return heads.eval()


def same(one: Heads, other: Heads) -> None:
    photos = fixed_photos(one)
    points = torch.tensor([[10.0, 20.0], [-90.0, 180.0]], dtype=torch.float64)
    with torch.inference_mode():
        pairs = [(one.encode_photos(photos), other.encode_photos(photos))]
        pairs.append((one.encode_points(points), other.encode_points(points)))
        for left, right in pairs:
            assert set(left) == set(right)
            for space in left:
                assert torch.equal(left[space], right[space]), space


def test_g3_comes_in_by_its_published_names(tmp_path: Path) -> None:
    heads = drawn(tiny_heads("g3"))
    path = saved({"state_dict": published(heads)}, tmp_path / "g3.pth")
    found = import_heads("g3", [path], config=heads.config)
    same(heads, found)
    for key, value in heads.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
    towers = g3_towers(read_state(path))
    assert set(towers) == {
        "vision_model.embeddings.class_embedding",
        "text_model.final_layer_norm.bias",
        "visual_projection.weight",
        "text_projection.weight",
    }
    with pytest.raises(InputError, match="no CLIP towers"):
        g3_towers(heads.state_dict())


def test_g3_has_the_published_shapes() -> None:
    shapes = {key: tuple(value.shape) for key, value in published(G3Heads()).items()}
    assert shapes["location_encoder.LocEnc2.capsule.0.b"] == (256, 2)
    assert shapes["location_encoder.LocEnc0.capsule.1.weight"] == (1024, 512)
    assert shapes["location_encoder.LocEnc0.head.0.weight"] == (512, 1024)
    assert shapes["location_projection_else.0.weight"] == (512, 512)
    assert shapes["location_projection_else.2.weight"] == (768, 512)
    for name in ("vision_projection_else_1", "vision_projection_else_2", "text_projection_else"):
        assert shapes[f"{name}.0.weight"] == shapes[f"{name}.2.weight"] == (768, 768)
    assert shapes["logit_scale1"] == shapes["logit_scale2"] == ()


def test_our_own_safetensors_come_in_too(tmp_path: Path) -> None:
    heads = drawn(tiny_heads("g3"))
    save_file(heads.state_dict(), tmp_path / "heads.safetensors")
    same(heads, import_heads("g3", [tmp_path / "heads.safetensors"], config=heads.config))


def test_dualgeo_comes_in_by_its_published_names(tmp_path: Path) -> None:
    heads = drawn(tiny_heads("dualgeo", segment_encoder="resnet18", patch_tokens=False))
    for name, tensor in heads.state_dict().items():
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    state = heads.state_dict() | {
        "vision_model_rgb.embeddings.class_embedding": torch.ones(4),
        "vision_projection_rgb.weight": torch.ones(4, 4),
        "semantic_encoder.resnet.fc.bias": torch.ones(3),
        "semantic_encoder.features.0.weight": torch.ones(3),
    }
    path = saved({"epoch": 1, "model_state_dict": state}, tmp_path / "dvseg_1_.pth")
    found = import_heads("dualgeo", [path], config=heads.config)
    for key, value in heads.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_another_familys_checkpoint_is_recognised() -> None:
    g3 = published(tiny_heads("g3"))
    geoclip = tiny_heads("geoclip").state_dict()
    with pytest.raises(InputError, match="this is a g3 checkpoint, geoclip was asked for"):
        import_state("geoclip", g3)
    with pytest.raises(InputError, match="this is a geoclip checkpoint, dualgeo was asked"):
        import_state("dualgeo", geoclip)
    with pytest.raises(InputError, match="tower without heads"):
        import_state("g3", {"vision_model.embeddings.class_embedding": torch.ones(3)})
    with pytest.raises(InputError, match="unknown family"):
        import_state("none", geoclip)
    with pytest.raises(InputError, match="does not fit"):
        import_state("transgeoclip", {"x": torch.ones(1)})


@pytest.mark.parametrize("family", SMALL)
def test_no_family_of_ours_is_taken_for_another(family: str) -> None:
    assert family_of(tiny_heads(family).state_dict()) in (family, "")


def geoclip_files() -> list[Path]:
    folder = geoclip_folder()
    assert folder is not None, "the development target installs geoclip"
    return [folder / name for name in GEOCLIP_FILES]


def test_geoclips_files_give_the_published_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = import_heads("geoclip", geoclip_files())
    same(heads, load_geoclip())
    check_geoclip_numbers(heads)
    with torch.no_grad():
        state = heads.state_dict()
        state["location_encoder.LocEnc1.head.0.bias"][0] += 0.01
    with pytest.raises(InputError, match="published numbers"):
        check_geoclip_numbers(heads)


def test_geoclip_read_twice_is_read_once_and_shares_nothing() -> None:
    one, other = load_geoclip(), load_geoclip()
    with torch.no_grad():
        one.get_parameter("image_head.0.bias").add_(1)
    assert not torch.equal(
        one.get_parameter("image_head.0.bias"), other.get_parameter("image_head.0.bias")
    )
    check_geoclip_numbers(load_geoclip())
    assert checkpoints._geoclip_state.cache_info().hits >= 2


def test_geoclips_whole_model_and_a_missing_part() -> None:
    heads = drawn(tiny_heads("geoclip"))
    whole = {
        key.replace("image_head.", "image_encoder.mlp."): value
        for key, value in heads.state_dict().items()
    }
    whole |= {"gps_queue": torch.ones(2, 4), "image_encoder.CLIP.visual.x": torch.ones(1)}
    same(heads, import_state("geoclip", whole, config=heads.config))
    files = geoclip_files()
    with pytest.raises(InputError, match=r"missing: .*image_head"):
        import_heads("geoclip", files[1:])
    with pytest.raises(InputError, match="each part once"):
        import_heads("geoclip", [files[1], files[1]])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda heads: heads.image_gps_head[2].weight.fill_(1e30), "length 0"),
        (lambda heads: heads.location_head[2].weight.zero_(), "different inputs"),
        (lambda heads: heads.logit_scale_gps.fill_(90.0), "temperature"),
        (lambda heads: heads.logit_scale_gps.fill_(-90.0), "temperature"),
        (lambda heads: heads.location_encoder.LocEnc0.head[0].bias.fill_(math.inf), "finite"),
    ],
)
def test_numbers_that_are_no_embedding_are_refused(
    spoil: Callable[[Any], object], said: str
) -> None:
    heads = drawn(tiny_heads("g3"))
    check_numbers(heads)
    with torch.no_grad():
        spoil(heads)
    with pytest.raises(InputError, match=said):
        check_numbers(heads)


@pytest.mark.parametrize("family", SMALL)
def test_untrained_heads_of_every_family_pass_the_check(family: str) -> None:
    check_numbers(tiny_heads(family))
