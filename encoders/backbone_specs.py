"""Which image and text towers there are: their architecture, file and published preprocessing.

Imports torch only for names that open_clip has to explain. The numbers are open_clip's own for
the same names; a test compares them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from encoders.photo_file import printable
from encoders.preprocess import Preprocessing
from encoders.torch_setup import need
from encoders.weights_table import PUBLISHED
from geo.errors import InputError

Layout = Literal["hf_clip", "open_clip"]
OPEN_CLIP = "open_clip:"
"""Prefix of the name of any open_clip model with a file of one's own."""
HUB_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
"""Names under which hubs keep weights, open_clip's before those of `transformers`."""
HALF = (0.5, 0.5, 0.5)
"""SigLIP's mean and deviation: pixels between -1 and 1."""


@dataclass(frozen=True)
class BackboneSpec:
    """One tower, or pair of towers, that families sit on."""

    name: str
    """What it is loaded by."""
    architecture: str = ""
    """open_clip's name; empty where `tower` says it all."""
    place: str = ""
    """Its folder under `home/weights`; its name where empty."""
    files: tuple[str, ...] = ()
    """Names of the weights in its folder, the published one first; or a path of its own."""
    layout: Layout = "open_clip"
    """Of the published file."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    text: bool = True
    licence: str = ""
    sha256: str = ""
    """Of the published file; empty where unknown."""
    published: bool = False
    """Whether `graticule weights get` knows where the file is to be had."""
    tower: Mapping[str, Any] | None = None
    """open_clip's model configuration, for a tower that has no published name."""

    @property
    def image_size(self) -> int:
        """Side of the square that the tower sees, in pixels."""
        return self.preprocessing.image_size

    @property
    def resize_mode(self) -> str:
        """`shortest`, `squash` or `longest`; see `Preprocessing`."""
        return self.preprocessing.resize_mode

    def identity(self) -> str:
        """Return everything but the weights that shapes a feature, as JSON."""
        said = {"architecture": self.architecture, "tower": self.tower}
        return json.dumps(said | {"preprocessing": vars(self.preprocessing)}, sort_keys=True)

    def model_config_of_tower(self) -> dict[str, Any] | None:
        """Return a copy of the configuration that `Backbone.from_config` builds it from."""
        return None if self.tower is None else json.loads(json.dumps(self.tower))


def _known(name: str, architecture: str, layout: Layout, how: Preprocessing) -> BackboneSpec:
    """Return the specification of published towers; their file is as the table of weights says."""
    published = next((one for one in PUBLISHED if one.name == name), None)
    usual = HUB_FILES[:2] if layout == "open_clip" else HUB_FILES[2:]
    file = published.files[0] if published else None
    return BackboneSpec(
        name,
        architecture,
        name,
        tuple(dict.fromkeys((*(file.names if file else ()), *usual))),
        layout,
        how,
        licence=published.licence if published else {"hf_clip": "MIT"}.get(layout, "Apache-2.0"),
        sha256=(file.sha256 or "") if file else "",
        published=published is not None,
    )


def _clip(name: str, architecture: str, size: int) -> BackboneSpec:
    # OpenAI trained with QuickGELU. Under the plain name the same weights load and are wrong.
    return _known(name, architecture, "hf_clip", Preprocessing(size, crop_rounding="down"))


def _siglip(architecture: str, size: int) -> BackboneSpec:
    """`ViT-B-16-SigLIP2-256` is called `siglip2-b-16-256`; 224 px are left out in both."""
    model, _, rest = architecture.removeprefix("ViT-").lower().partition("-siglip")
    name = f"siglip2-{model}{rest[1:]}" if rest[:1] == "2" else f"siglip-{model}{rest}"
    how = Preprocessing(size, HALF, HALF, resize_mode="squash")
    return _known(name, architecture, "open_clip", how)


SPECS = {
    spec.name: spec
    for spec in (
        _clip("clip-vit-l-14", "ViT-L-14-quickgelu", 224),
        _clip("clip-vit-l-14-336", "ViT-L-14-336-quickgelu", 336),
        _siglip("ViT-B-16-SigLIP", 224),
        _siglip("ViT-B-16-SigLIP-256", 256),
        _siglip("ViT-B-16-SigLIP-384", 384),
        _siglip("ViT-L-16-SigLIP-256", 256),
        _siglip("ViT-L-16-SigLIP-384", 384),
        _siglip("ViT-SO400M-14-SigLIP", 224),
        _siglip("ViT-SO400M-14-SigLIP-384", 384),
        _siglip("ViT-B-16-SigLIP2", 224),
        _siglip("ViT-B-16-SigLIP2-256", 256),
        _siglip("ViT-B-16-SigLIP2-384", 384),
        _siglip("ViT-L-16-SigLIP2-256", 256),
        _siglip("ViT-L-16-SigLIP2-384", 384),
        _siglip("ViT-SO400M-14-SigLIP2", 224),
        _siglip("ViT-SO400M-14-SigLIP2-378", 378),
        _siglip("ViT-SO400M-16-SigLIP2-256", 256),
        _siglip("ViT-SO400M-16-SigLIP2-384", 384),
        _siglip("ViT-gopt-16-SigLIP2-256", 256),
        _siglip("ViT-gopt-16-SigLIP2-384", 384),
    )
}
"""Name -> specification of every tower known by name."""


def config_spec(name: str, model_config: Mapping[str, Any]) -> BackboneSpec:
    """Return the specification of a tower that is described by its configuration.

    Raises:
        InputError: the configuration does not say what a photo must look like.
    """
    try:
        tower = json.loads(json.dumps(dict(model_config)))
        size = tower["vision_cfg"]["image_size"]
        if not isinstance(size, int):
            raise ValueError(f"image_size {size} is not one side of a square")
        preprocessing = merge(Preprocessing(size), tower.get("preprocess_cfg", {}))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"backbone {printable(name)!r} has no usable configuration ({type(error).__name__}: "
            f"{printable(str(error))}); compare it with open_clip's model_configs"
        ) from None
    return BackboneSpec(name, preprocessing=preprocessing, tower=tower)


def merge(base: Preprocessing, stated: Mapping[str, Any]) -> Preprocessing:
    """Return `base` with what an open_clip `preprocess_cfg` says otherwise.

    Raises:
        ValueError: a value is not one that is supported.
    """
    if stated.get("size") not in (None, base.image_size, [base.image_size] * 2):
        raise ValueError(f"size {stated['size']} is not the tower's, {base.image_size}")
    keys = ("mean", "std", "interpolation", "resize_mode")
    changes = {key: stated[key] for key in keys if stated.get(key) is not None}
    for key in ("mean", "std"):
        if key in changes:
            changes[key] = tuple(float(value) for value in changes[key])
    return replace(base, **changes)


def backbone_spec(name: str) -> BackboneSpec:
    """Return the specification of a tower by name.

    Args:
        name: one of `SPECS`, or `open_clip:NAME/TAG=FILE` with open_clip's names of a model and
            of its training. The tag is needed where the trainings of a model differ in more than
            their weights. Without `=FILE` it is looked for in `home/weights/open_clip/NAME/TAG`.

    Raises:
        InputError: no such name, tag or form.
        UnavailableError: open_clip is needed for it and missing.
    """
    if name in SPECS:
        return SPECS[name]
    if not name.startswith(OPEN_CLIP):
        raise InputError(
            f"unknown backbone {printable(name)!r}; there is: {', '.join(SPECS)}, or "
            f"{OPEN_CLIP}NAME=FILE"
        )
    model, equals, file = name.removeprefix(OPEN_CLIP).partition("=")
    architecture, _, tag = model.partition("/")
    if not architecture or (equals and not file):
        raise InputError(
            f"backbone {printable(name)!r} names no model or file; write {OPEN_CLIP}NAME/TAG=FILE"
        )
    return _open_clip_spec(architecture, tag, (str(Path(file).absolute()),) if file else HUB_FILES)


def _open_clip_spec(architecture: str, tag: str, files: tuple[str, ...]) -> BackboneSpec:
    """Return the specification of one of open_clip's models."""
    open_clip = need("open_clip")
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise InputError(
            f"open_clip has no model {printable(architecture)!r}; see open_clip.list_models()"
        )
    shown = OPEN_CLIP + architecture
    base = config_spec(shown, config).preprocessing
    stated = {
        one: open_clip.get_pretrained_cfg(architecture, one)
        for one in open_clip.list_pretrained_tags_by_model(architecture)
    }
    ways = {one: (merge(base, said), bool(said.get("quick_gelu"))) for one, said in stated.items()}
    if tag and tag not in ways:
        raise InputError(
            f"{shown} was not trained as {printable(tag)!r}; there is: "
            f"{', '.join(ways) or 'nothing'}"
        )
    if not tag and len(set(ways.values())) > 1:
        raise InputError(
            f"trainings of {shown} differ in preprocessing or activation; say which: "
            f"{shown}/TAG=FILE with TAG one of {', '.join(ways)}"
        )
    preprocessing, quick = ways[tag] if tag else next(iter(ways.values()), (base, False))
    if quick and not config.get("quick_gelu", False):
        raise InputError(
            f"{shown}/{tag or next(iter(ways))} was trained with QuickGELU, without which features "
            f"are silently wrong; use {shown}-quickgelu"
        )
    return BackboneSpec(
        f"{shown}/{tag}" if tag else shown,
        architecture,
        "/".join(filter(None, ("open_clip", architecture, tag))),
        files,
        preprocessing=preprocessing,
        licence="as its publisher states",
    )
