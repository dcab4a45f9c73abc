"""Which chat model drives a run, and how it is asked."""

from typing import Literal

from pydantic import ConfigDict, Field, SecretStr

from tools.evidence import Record, Share


class ModelSettings(Record):
    """A multimodal chat model behind an OpenAI-compatible server, or one of another provider."""

    # Not strict: from the environment every number comes as text.
    model_config = ConfigDict(strict=False)

    url: str = ""
    """Base address of an OpenAI-compatible server, up to and with `/v1`."""
    name: str = ""
    """The model's name there; empty takes the first that the server lists."""
    provider: str = "openai"
    """Other than `openai`: a provider of LangChain's `init_chat_model` (extra `providers`)."""
    api_key: SecretStr = SecretStr("")
    """Sent as it is; never written to a trace."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    timeout_s: float = Field(default=180.0, gt=0)
    """Longest time for one reply, and for silence within a streamed one."""
    retries: int = Field(default=3, ge=0, le=10)
    """How often a call that failed in passing is made again, with growing waits."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    seed: int = Field(default=1, ge=0)
    max_tokens: int = Field(default=2048, ge=64)
    """Longest reply, thinking included."""
    image_side_px: int = Field(default=1024, ge=64, le=4096)
    """Longest side of images as they are sent."""
    images: int = Field(default=6, ge=0, le=64)
    """Most images in one request: the photo and the latest crops; 0 sends none."""
    calls: Literal["auto", "tools", "structured"] = "auto"
    """How tools are called: natively, or through structured output where a server cannot."""
    strict: Literal["auto", "yes", "no"] = "auto"
    """Whether tool schemas are sent as strict; `auto` as the server's probe says."""
    weight: Share = 0.7
    """How often its answers are taken to be right at all, until calibration says better."""

    @property
    def configured(self) -> bool:
        """Whether a model is named at all."""
        return bool(self.url or self.name)
