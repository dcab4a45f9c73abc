"""Processes that train together: one alone, or those that torchrun started.

Each process embeds its share of a global batch. Rows are gathered with their gradients, every
process computes the loss of the whole batch, and gradients are averaged. The backward pass of
gathering sums what all processes say of a row, of which the average takes back the number of
processes: what comes out is the gradient of one process that saw the whole batch. Learnable
temperatures get the same gradient everywhere, and its average is itself.
"""

import datetime
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# The first process computes features alone, for hours, while the others wait.
_PATIENCE = datetime.timedelta(days=7)


class Group:
    """The processes of a training; one alone unless torchrun started several."""

    def __init__(self) -> None:
        self.rank, self.size, self._ours = 0, 1, False

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def join(self, device: torch.device) -> None:
        """Meet the processes that torchrun started; nothing where it did not."""
        if not dist.is_available() or not dist.is_torchelastic_launched():
            return
        if not dist.is_initialized():
            # Optimisers import this, and what it imports keeps the group that exists by then: its
            # threads would outlive `leave`, and now and then abort the process at its end.
            importlib.import_module("torch._dynamo")
            backend = "nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=_PATIENCE)
            self._ours = True
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def leave(self) -> None:
        """Part from the others, without waiting for them."""
        if self._ours and dist.is_initialized():
            dist.destroy_process_group()
        self._ours = False

    def share(self, value: Any) -> Any:
        """Return what the first process gives here."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, embedded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the rows of all processes one after the other, with their gradients."""
        if self.size == 1:
            return dict(embedded)
        apply: Callable[[Tensor], Tensor] = _Gather.apply
        return {key: apply(rows) for key, rows in embedded.items()}

    def average(self, parameters: Iterable[nn.Parameter], stop: bool) -> bool:
        """Replace gradients by their average; return whether any process was asked to stop."""
        if self.size == 1:
            return stop
        gradients = [p.grad for p in parameters if p.grad is not None]
        device = gradients[0].device if gradients else torch.device("cpu")
        flag = torch.tensor([float(stop)], device=device)
        flat = torch.cat([g.reshape(-1).float() for g in gradients] + [flag])
        dist.all_reduce(flat)
        flat /= self.size
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return bool(flat[-1] > 0)


def node_rank() -> int:
    """Return which process of this machine this is: the number of its GPU."""
    launched = dist.is_available() and dist.is_torchelastic_launched()
    return dist.get_node_local_rank() if launched else 0


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all processes; its backward pass sums over processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        found = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(found, rows.contiguous())
        gathered = torch.cat(found)
        if not rows.is_floating_point():
            ctx.mark_non_differentiable(gathered)
        return gathered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]
