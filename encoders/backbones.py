"""Image and text towers through open_clip, frozen: photos and words to features.

Known by name (`clip-vit-l-14`, `siglip2-b-16-256`), by any open_clip name with a local file
(`open_clip:NAME/TAG=FILE`), or by an explicit configuration for small towers of one's own.
Nothing is downloaded. Sources: CLIP (Radford et al., ICML 2021); SigLIP (Zhai et al., ICCV
2023); SigLIP 2 (Tschannen et al., arXiv 2502.14786).
"""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from encoders.backbone_files import file_identity, read_towers, tokenizer_folder, weights_file
from encoders.backbone_specs import BackboneSpec, backbone_spec, config_spec
from encoders.checkpoints import fit_keys
from encoders.heads import PhotoFeatures
from encoders.photo_file import printable
from encoders.torch_setup import Precision, choose_device, choose_precision, need
from geo.errors import InputError, UnavailableError


class Backbone:
    """A frozen image tower, and the text tower that was trained with it.

    A row depends on its photo or text alone. In float32 the other rows of a batch change
    nothing beyond 1e-5; a GPU's bfloat16 rounds at about 1e-2 and may choose other kernels for
    other batch sizes.

    Args:
        spec: what it is.
        model: open_clip's, with its weights in place; frozen here.
        fingerprint: SHA-256 hex over weights and preprocessing.
        device: see `choose_device`.
        precision: see `choose_precision`.
        tokenizer_folder: where the tokenizer's files lie, for towers that need any.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        model: nn.Module,
        fingerprint: str,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        tokenizer_folder: Path | None = None,
    ) -> None:
        self.spec = spec
        self.fingerprint = fingerprint
        self.device = choose_device(device)
        self.dtype = choose_precision(self.device, precision)
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.text = spec.text
        self._tokenizer_folder = tokenizer_folder
        self._tokenizer: Any = None
        with torch.no_grad():
            blank = torch.zeros(1, 3, spec.image_size, spec.image_size, device=self.device)
            pooled, tokens = self._tower(blank)
        self.width: int = pooled.shape[1]
        """Length of pooled image features and of text features."""
        self.token_width: int = tokens.shape[2]
        self.grid: int = round(tokens.shape[1] ** 0.5)
        """Patches a side."""

    @classmethod
    def from_config(
        cls,
        name: str,
        model_config: Mapping[str, Any],
        *,
        seed: int = 0,
        state: Mapping[str, Tensor] | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> "Backbone":
        """Return towers of any size; without `state` their weights are drawn from `seed`.

        Args:
            name: its owner's choice.
            model_config: as in open_clip's `model_configs`; a `preprocess_cfg` as in its
                `open_clip_config.json` may say how photos are prepared (CLIP's way otherwise).
            seed: of the weights; the global generator is left as it was.
            state: weights, in open_clip's layout.
            device: see `choose_device`.
            precision: see `choose_precision`.

        Raises:
            InputError: the configuration is not one, or the weights are not of its shape.
        """
        spec = config_spec(name, model_config)
        model = build_towers(name, model_config, seed=seed)
        if state is not None:
            fill_towers(model, state, name)
        fingerprint = _fingerprint(spec, state_digest(model.state_dict()))
        return cls(spec, model, fingerprint, device=device, precision=precision)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Return the `[3, S, S]` float32 input of the image tower for an RGB photo."""
        return torch.from_numpy(self.spec.preprocessing(image))

    def image_features(
        self, images: Sequence[Image.Image], *, tokens: bool = False
    ) -> PhotoFeatures:
        """Return float32 features of RGB photos, all in one batch, on the tower's device.

        Args:
            images: upright RGB photos.
            tokens: whether to return patch tokens too.

        Returns:
            `pooled` `[N, width]`, projected, not normalised; `tokens` `[N, grid * grid,
            token_width]` row by row, after the last norm, without class token, or None.
        """
        # open_clip is untyped, so that a model's parts are tensors or modules to the checker.
        with torch.no_grad():
            batch = torch.stack([self.preprocess(image) for image in images]).to(self.device)
            if tokens:
                return PhotoFeatures(*self._tower(batch))
            # torch types what a module holds as tensor or module, its methods too.
            with self._autocast():
                return PhotoFeatures(self.model.visual(batch).float())  # type: ignore[operator]

    def _tower(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return pooled features and patch tokens of `[N, 3, S, S]` inputs."""
        with self._autocast():
            found = self.model.visual.forward_intermediates(  # type: ignore[operator, union-attr]
                batch, indices=1, normalize_intermediates=True, output_fmt="NCHW"
            )
        last = found["image_intermediates"][-1].float()
        return found["image_features"].float(), last.flatten(2).transpose(1, 2).contiguous()

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Return `[N, width]` float32 features of texts, not normalised.

        A text beyond the tower's context (77 tokens of CLIP, 64 of SigLIP) is read up to there.

        Raises:
            InputError: this backbone has no text tower.
            UnavailableError: its tokenizer's files are not on this machine.
        """
        if not self.text:
            raise InputError(f"backbone {self.spec.name!r} reads no texts; use clip-vit-l-14")
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self.spec, self._tokenizer_folder)
        with torch.no_grad():
            tokens = self._tokenizer(list(texts)).to(self.device)
            with self._autocast():
                return self.model.encode_text(tokens).float()  # type: ignore[operator, no-any-return]


class _NoDrawing(TorchFunctionMode):
    """Leaves weights as the memory had them: most of building a large tower is drawing them."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _DRAWING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


_DRAWING: set[Any] = {Tensor.normal_, Tensor.uniform_}
_DRAWING |= {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}


def build_towers(name: str, model_config: Mapping[str, Any], *, seed: int | None = 0) -> nn.Module:
    """Return open_clip's model for a configuration, its weights drawn from `seed`.

    With None they are not drawn, and mean nothing until `fill_towers` has put others there.

    Raises:
        InputError: not a configuration, or one of a kind that is not supported.
        UnavailableError: open_clip is missing.
    """
    open_clip = need("open_clip")
    config = copy.deepcopy(dict(model_config))
    config.pop("preprocess_cfg", None)
    custom = config.pop("custom_text", False)
    if "multimodal_cfg" in config or config.get("text_cfg", {}).get("hf_model_name"):
        raise InputError(
            f"backbone {name!r} has a text tower that only a hub describes, or a caption decoder; "
            "use a CLIP or SigLIP model"
        )
    try:
        if config["vision_cfg"].get("timm_model_name"):
            config["vision_cfg"]["timm_model_pretrained"] = False  # it would be downloaded
        towers = open_clip.CustomTextCLIP if custom else open_clip.CLIP
        with torch.random.fork_rng(devices=[]), nullcontext() if seed is not None else _NoDrawing():
            # `torch.manual_seed` would seed every GPU too, and nobody would put that back.
            torch.default_generator.manual_seed(seed or 0)
            model: nn.Module = towers(**config)
    except (
        TypeError,
        KeyError,
        ValueError,
        RuntimeError,
        ArithmeticError,
        AttributeError,
    ) as error:
        raise InputError(
            f"backbone {name!r} has a configuration that open_clip cannot build "
            f"({type(error).__name__}: {printable(str(error))}); compare it with its model_configs"
        ) from None
    return model


def fill_towers(model: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Put weights into a model, each key present, of its shape and finite.

    Raises:
        InputError: they do not fit; every fault is listed.
    """
    try:
        fit_keys(model, state, ignore=("position_ids", "attn_mask"))
    except InputError as error:
        raise InputError(
            f"weights are not those of backbone {printable(name)!r}: {error}"
        ) from None


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, shapes and values of a state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _fingerprint(spec: BackboneSpec, weights: str) -> str:
    parts = [spec.name, spec.identity(), weights]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _tokenizer(spec: BackboneSpec, folder: Path | None) -> Any:
    """Return what turns a list of texts into `[N, context]` token numbers, cut off there."""
    open_clip = need("open_clip")
    text = (spec.tower or open_clip.get_model_config(spec.architecture))["text_cfg"]
    length, settings = text.get("context_length", 77), dict(text.get("tokenizer_kwargs") or {})
    if not text.get("hf_tokenizer_name"):
        return open_clip.SimpleTokenizer(context_length=length, **settings)
    place = tokenizer_folder(spec, folder or Path(spec.name))
    need("transformers")
    try:
        return open_clip.tokenizer.HFTokenizer(
            str(place),
            context_length=length,
            tokenizer_mode=text.get("tokenizer_mode"),
            local_files_only=True,
            **settings,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"tokenizer in {printable(str(place), 500)!r} cannot be read "
            f"({type(error).__name__}: {printable(str(error))}); get its files again"
        ) from None


def backbone_fingerprint(name: str, *, folder: Path) -> str:
    """Return the fingerprint that a backbone has, or will have once its file is there.

    A missing file counts as the published one.

    Args:
        name: see `backbone_spec`.
        folder: that holds a folder for each name, `home/weights`.

    Raises:
        InputError: no such backbone, or its file cannot be read.
        UnavailableError: its file is missing and no published one is known.
    """
    spec = backbone_spec(name)
    try:
        path = weights_file(spec, folder)
    except UnavailableError:
        if not spec.sha256:
            raise
        return _fingerprint(spec, spec.sha256)
    return _fingerprint(spec, file_identity(path))


def load_backbone(
    name: str, *, folder: Path, device: str = "auto", precision: Precision = "auto"
) -> Backbone:
    """Return frozen towers with weights from this machine; nothing is downloaded.

    Args:
        name: see `backbone_spec`.
        folder: that holds a folder for each name, `home/weights`.
        device: see `choose_device`.
        precision: see `choose_precision`.

    Raises:
        InputError: no such backbone or device, or a file that is cut short or another model's.
        UnavailableError: the file, the GPU or open_clip is missing.
    """
    spec = backbone_spec(name)
    choose_device(device)
    path = weights_file(spec, folder)
    config = need("open_clip").get_model_config(spec.architecture)
    state = read_towers(path)
    model = build_towers(spec.name, config, seed=None)
    fill_towers(model, state, spec.name)
    return Backbone(
        spec,
        model,
        _fingerprint(spec, file_identity(path)),
        device=device,
        precision=precision,
        tokenizer_folder=path.parent,
    )
