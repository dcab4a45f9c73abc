"""Which published weights this version can use: repositories, files, sizes, checksums, licences.

A checksum stands here only where public records of the file state it. Elsewhere it is None, and
what the hub states for the file at download is what is checked.
"""

from dataclasses import dataclass

MAIN = "main"
"""Newest revision, for a repository of which no revision is on public record."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a repository."""

    name: str
    """In the repository, and in our folder."""
    size: int = 0
    """Bytes; 0 where not on record."""
    sha256: str | None = None
    exact: bool = True
    """Whether `size` is on record to the byte; else it is an estimate."""
    instead: str = ""
    """Name of the same weights in another format, asked for where the hub lacks `name`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names it may have on disk, the preferred one first."""
        return (self.name, self.instead) if self.instead else (self.name,)


@dataclass(frozen=True)
class PublishedWeights:
    """What an encoder is loaded from."""

    name: str
    """What it is asked for by, and its folder under `home/weights`."""
    repository: str
    """Owner and name on the hub."""
    revision: str
    licence: str
    purpose: str
    files: tuple[PublishedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files, as far as on record."""
        return sum(file.size for file in self.files)


def _tokenizer() -> tuple[PublishedFile, ...]:
    names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    return tuple(PublishedFile(name) for name in names)


_SIGLIP2_TOKENIZER = (
    PublishedFile(
        "tokenizer.json",
        34_362_885,
        "220c63d496e0c14e63eb656c91e0215e926202e4c74b1f089e09f1920d779b04",
    ),
    PublishedFile(
        "tokenizer_config.json",
        46_382,
        "513e778583a9ac0b74ae47784216f9d654d5132eee62d777597f5e842701323c",
    ),
    PublishedFile(
        "special_tokens_map.json",
        327,
        "d4671afd8f9b1ccd170443bd5478c0cc40fdbddc9343034caf6984ffd388b2c4",
    ),
)

PUBLISHED = (
    PublishedWeights(
        name="clip-vit-l-14",
        repository="openai/clip-vit-large-patch14",
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        licence="MIT",
        purpose="tower of geoclip, g3, transgeoclip, dualgeo: CLIP ViT-L/14",
        files=(
            PublishedFile(
                "model.safetensors",
                1_710_540_580,
                "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
            ),
        ),
    ),
    PublishedWeights(
        name="clip-vit-l-14-336",
        repository="openai/clip-vit-large-patch14-336",
        revision="ce19dc912ca5cd21c8a653c79e251e808ccabcd1",
        licence="MIT",
        purpose="tower: CLIP ViT-L/14 at 336 px, finer, 2.3 x the work",
        files=(
            PublishedFile(
                "pytorch_model.bin",
                1_711_974_081,
                "c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801",
            ),
        ),
    ),
    PublishedWeights(
        name="siglip-b-16",
        repository="timm/ViT-B-16-SigLIP",
        revision=MAIN,
        licence="Apache-2.0",
        purpose="tower of siglip, small: ViT-B/16 at 224 px",
        files=(
            PublishedFile(
                "open_clip_model.safetensors",
                812_660_000,
                exact=False,
                instead="open_clip_pytorch_model.bin",
            ),
            *_tokenizer(),
        ),
    ),
    PublishedWeights(
        name="siglip-so400m-14-384",
        repository="timm/ViT-SO400M-14-SigLIP-384",
        revision=MAIN,
        licence="Apache-2.0",
        purpose="tower of siglip: SO400M/14 at 384 px",
        files=(
            PublishedFile(
                "open_clip_model.safetensors",
                3_511_918_424,
                exact=False,
                instead="open_clip_pytorch_model.bin",
            ),
            *_tokenizer(),
        ),
    ),
    PublishedWeights(
        name="siglip2-b-16",
        repository="timm/ViT-B-16-SigLIP2",
        revision="eee10eff6dd8cabae2d7f379d4e8cfcd352030aa",
        licence="Apache-2.0",
        purpose="tower of siglip, small: SigLIP2 ViT-B/16 at 224 px",
        files=(
            PublishedFile(
                "open_clip_model.safetensors",
                1_500_786_832,
                "d0a51069d2fa6c95b371b3bffd2a2c765c1815004798ee99f075290dbca73041",
            ),
            *_SIGLIP2_TOKENIZER,
        ),
    ),
    PublishedWeights(
        name="siglip2-so400m-16-384",
        repository="timm/ViT-SO400M-16-SigLIP2-384",
        revision="fec784dabb3081a5f101fc74eefaf9d1ed08237b",
        licence="Apache-2.0",
        purpose="tower of siglip: SigLIP2 SO400M/16 at 384 px",
        files=(
            PublishedFile(
                "open_clip_model.safetensors",
                4_544_200_000,
                "8ceec00df3c462d155d172933339cd9178a86bfab72f4458dbe84bd54f5ad026",
                exact=False,
            ),
            *_tokenizer(),
        ),
    ),
    PublishedWeights(
        name="g3",
        repository="Jia-py/G3-checkpoint",
        revision=MAIN,
        licence="Apache-2.0",
        purpose="G3's heads with their CLIP tower, for `graticule weights import g3`",
        files=(PublishedFile("g3.pth", 1_760_000_000, exact=False),),
    ),
    PublishedWeights(
        name="upernet-convnext-tiny",
        repository="openmmlab/upernet-convnext-tiny",
        revision=MAIN,
        licence="MIT",
        purpose="segmenter of dualgeo: UPerNet, ConvNeXt-T, ADE20K classes",
        files=(
            PublishedFile("config.json"),
            PublishedFile("preprocessor_config.json"),
            PublishedFile(
                "model.safetensors", 240_000_000, exact=False, instead="pytorch_model.bin"
            ),
        ),
    ),
    PublishedWeights(
        name="segformer-b5",
        repository="nvidia/segformer-b5-finetuned-ade-640-640",
        revision="739f5d4692954e4a185eac280dec1ba5a7d52f1d",
        licence="NVIDIA non-commercial",
        purpose="segmenter that DualGeo was published with: SegFormer-B5, ADE20K classes",
        files=(
            PublishedFile("config.json"),
            PublishedFile("preprocessor_config.json"),
            PublishedFile("pytorch_model.bin", 340_000_000, exact=False),
        ),
    ),
)
"""In the order in which they are listed."""
