import pytest
import torch
from torch import Tensor

from encoders.backbones import build_towers
from encoders.clip_layout import is_hf_clip, to_hf_clip, to_open_clip
from geo.errors import InputError
from tests.unit.encoder_samples import TOWER

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def ours() -> State:
    """Weights of small towers in open_clip's layout."""
    return dict(build_towers("tiny", TOWER, seed=4).state_dict())


def equal(left: State, right: State) -> bool:
    return set(left) == set(right) and all(torch.equal(left[k], right[k]) for k in left)


def test_there_and_back_gives_every_tensor_unchanged(ours: State) -> None:
    theirs = to_hf_clip(ours)
    assert is_hf_clip(theirs)
    assert not is_hf_clip(ours)
    assert not set(ours) & set(theirs) - {"logit_scale"}
    assert equal(to_open_clip(theirs), ours)
    assert equal(to_hf_clip(to_open_clip(theirs)), theirs)


def test_queries_keys_and_values_stay_apart(ours: State) -> None:
    theirs = to_hf_clip(ours)
    merged = ours["visual.transformer.resblocks.1.attn.in_proj_weight"]
    for number, letter in enumerate("qkv"):
        part = theirs[f"vision_model.encoder.layers.1.self_attn.{letter}_proj.weight"]
        assert torch.equal(part, merged[32 * number : 32 * (number + 1)])
    assert torch.equal(theirs["visual_projection.weight"], ours["visual.proj"].T)


def test_g3s_name_of_the_projection_and_position_numbers_are_understood(ours: State) -> None:
    theirs = to_hf_clip(ours)
    theirs["vision_projection.weight"] = theirs.pop("visual_projection.weight")
    theirs["text_model.embeddings.position_ids"] = torch.arange(32)[None]
    theirs["vision_model.embeddings.position_ids"] = torch.arange(50)[None]
    assert equal(to_open_clip(theirs), ours)


def test_one_tower_alone_is_converted_too(ours: State) -> None:
    vision = {k: v for k, v in to_hf_clip(ours).items() if k.startswith("vis")}
    assert equal(to_open_clip(vision), {k: v for k, v in ours.items() if k.startswith("visual.")})


def test_a_foreign_key_is_named(ours: State) -> None:
    theirs = to_hf_clip(ours) | {"vision_model.encoder.layers.0.surprise.weight": torch.ones(1)}
    with pytest.raises(InputError, match=r"1 keys are not CLIP's.*layers\.0\.surprise"):
        to_open_clip(theirs)
    with pytest.raises(InputError, match=r"1 keys are not CLIP's.*'visual\.surprise'"):
        to_hf_clip(ours | {"visual.surprise": torch.ones(1)})


def test_an_attention_without_its_keys_is_incomplete(ours: State) -> None:
    theirs = to_hf_clip(ours)
    del theirs["text_model.encoder.layers.0.self_attn.k_proj.bias"]
    with pytest.raises(InputError, match=r"only \['q', 'v'\] of q, k, v .*in_proj_bias"):
        to_open_clip(theirs)
