"""How a family is trained: one strict set of settings, with the published ones as defaults."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from encoders.photo_file import printable
from geo.errors import ConfigError, InputError

Split = Literal["random", "spatial"]

PUBLISHED: dict[str, dict[str, Any]] = {
    "geoclip": {"optimizer": "adam", "lr": 3e-5, "weight_decay": 1e-6, "batch": 512},
    "g3": {"lr": 3e-5, "weight_decay": 1e-6},
    "transgeoclip": {"lr": 3e-5, "weight_decay": 1e-6},
    "dualgeo": {"lr": 4e-5, "weight_decay": 1e-6, "step_epochs": 2},
    # Our choice: the paper's was not readable. A table of prototypes starts from noise.
    "cellcodes": {"lr": 1e-3, "weight_decay": 1e-6, "schedule": "cosine", "epochs": 30},
}
"""What differs from the defaults below, by family: GeoCLIP, G3, TransGeoCLIP and DualGeo as their
authors published it; cell codes as we chose it."""


class TrainSettings(BaseModel):
    """Everything a loss curve depends on, besides data, backbone and machine."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    family: str
    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=256, ge=2)
    """Of all processes together; a last part below it is left out of its epoch."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: float = Field(default=3e-5, gt=0)
    weight_decay: float = Field(default=1e-6, ge=0)
    schedule: Literal["step", "cosine", "constant"] = "step"
    gamma: float = Field(default=0.87, gt=0, le=1)
    """Factor on the learning rate every `step_epochs` (`step`)."""
    step_epochs: int = Field(default=1, ge=1)
    warmup_steps: int = Field(default=0, ge=0)
    clip_norm: float = Field(default=0.0, ge=0)
    """Largest norm of the gradient; 0 does not clip."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` is bfloat16 by autocast on a GPU that has it, float32 elsewhere."""
    checkpointing: bool = False
    """Compute activations a second time to save memory, in families that can (transgeoclip)."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    held_out: float = Field(default=0.1, ge=0, le=0.5)
    """Share of photos that validate and are not trained on."""
    split: Split = "random"
    """Hold out photos at random, or whole squares of one degree."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop there, the schedule being that of all epochs."""
    heads: dict[str, JsonValue] = Field(default_factory=dict)
    """Sizes and ablations of the family's heads that differ from its defaults."""

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0: a function of the step alone."""
        rate = self.lr
        if self.schedule == "step":
            rate *= self.gamma ** (step // steps_per_epoch // self.step_epochs)
        elif self.schedule == "cosine":
            rate *= 0.5 + 0.5 * math.cos(math.pi * step / (steps_per_epoch * self.epochs))
        return rate * min(1.0, (step + 1) / (self.warmup_steps + 1))


def train_settings(family: str, **changes: Any) -> TrainSettings:
    """Return a family's settings, the published ones where `changes` says nothing.

    Raises:
        InputError: no such family, or one that trains nothing.
        ConfigError: a setting is unknown or out of range.
    """
    from encoders.families import FAMILIES

    if family not in PUBLISHED:
        why = "trains nothing: it is a backbone as it is" if family in FAMILIES else "is unknown"
        raise InputError(f"family {printable(family)!r} {why}; train one of {', '.join(PUBLISHED)}")
    try:
        return TrainSettings(family=family, **PUBLISHED[family] | changes)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"setting {name} = {printable(repr(first['input']), 60)}: {first['msg']}; correct it"
        ) from None
