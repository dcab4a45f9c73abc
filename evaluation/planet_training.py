"""Training heads on a planet's features: one budget for all, held in memory.

The product's trainer (`index_builder`) reads photos from files and caches; here features are in
memory already and every variant gets the very same steps, so that a loop of its own is simpler.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from encoders.heads import Batch, Heads


@dataclass(frozen=True)
class Budget:
    """What every variant of every family is given."""

    steps: int = 300
    batch: int = 256
    lr: float = 1e-3
    """Chosen once from 0.001 and 0.003, by GeoCLIP on planet 800, which is not reported."""
    weight_decay: float = 1e-6


def train_heads(
    heads: Heads,
    examples: int,
    batch: Callable[[Tensor], Batch],
    budget: Budget,
    seed: int,
    progress: Callable[[int, int, float], None],
) -> None:
    """Train heads in place: AdamW, a short rise of the learning rate, then half a cosine.

    Args:
        heads: fresh.
        examples: how many there are.
        batch: returns those of some rows.
        budget: steps, batch, learning rate.
        seed: of the order of the examples, and of dropout.
        progress: told the step, their number and the loss.
    """
    heads.train()
    optimiser = torch.optim.AdamW(
        heads.parameters(), lr=budget.lr, weight_decay=budget.weight_decay
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.empty(0, dtype=torch.long)
        for step in range(budget.steps):
            if len(order) < min(budget.batch, examples):
                order = torch.randperm(examples)
            rows, order = order[: budget.batch], order[budget.batch :]
            for group in optimiser.param_groups:
                group["lr"] = budget.lr * schedule(step, budget.steps)
            loss = torch.stack(list(heads.loss(heads(batch(rows))).values())).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            progress(step + 1, budget.steps, loss.item())
    heads.eval()


def schedule(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step: a short rise, then half a cosine."""
    rise = max(1, steps // 20)
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
