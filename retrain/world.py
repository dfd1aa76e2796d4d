"""Several processes that train one network: each takes a share of every batch, and their gradients are added up.

`accelerate launch` (or torchrun) starts the processes and says through the environment who is who. A batch is the same
whatever the number of processes; with N of them each computes an Nth of its rows. So the result differs from that of
one process only in the order of sums and in dropout. One process alone passes through here without a trace: not one
operation is added to its training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from models.errors import DeviceError

Item = TypeVar("Item")

_PATIENCE = timedelta(minutes=60)
"""The others wait so long for the first to evaluate; a process that has died is noticed at once by its connection."""
_SEED_STRIDE = 1_000_003
"""Between the seeds of two processes' dropout: far from the seeds that a person would choose for further runs."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run, and which of them this is.

    Attributes:
        rank: number of this process, from 0; only process 0 writes and reports.
        size: how many there are.
        local_rank: number of this process on its machine, which is that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> World:
        """Return what the launcher said; alone, if there was none.

        Raises:
            DeviceError: the variables contradict each other.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        try:
            rank, size, local = (int(environ.get(name, "1" if name == "WORLD_SIZE" else "0")) for name in names)
        except ValueError:
            rank, size, local = -1, 0, -1
        if not 0 <= rank < size or local < 0:
            told = ", ".join(f"{name}={environ.get(name)!r}" for name in names)
            raise DeviceError(f"the launcher's variables make no sense: {told}; unset them, or use accelerate launch")
        return cls(rank, size, local)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes, and take leave of them at the end.

        Raises:
            DeviceError: they cannot be connected.
        """
        if self.size == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        try:
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"the {self.size} processes cannot be connected: {error}") from None
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def share(self, rows: Sequence[Item]) -> Sequence[Item]:
        """Return this process's part of a batch, which may be empty; alone, all of it."""
        return rows if self.size == 1 else rows[self.rank :: self.size]

    def diverge(self, seed: int) -> None:
        """Give each process but the first a dropout of its own, once their networks are alike."""
        if self.rank:
            torch.manual_seed(seed + _SEED_STRIDE * self.rank)

    def start_alike(self, network: nn.Module) -> None:
        """Give all processes the first one's weights."""
        if self.size > 1:
            for value in network.state_dict().values():
                distributed.broadcast(value, src=0)

    def add_gradients(self, network: nn.Module, loss: float) -> float:
        """Add up all processes' gradients in place, and return the sum of their losses."""
        if self.size == 1:
            return loss
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:  # no row of the batch fell to this process
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        told = torch.tensor([loss], dtype=gradients[0].dtype, device=gradients[0].device)
        whole = torch.cat([told, *(gradient.reshape(-1) for gradient in gradients)])
        distributed.all_reduce(whole)
        at = 1
        for gradient in gradients:
            gradient.copy_(whole[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return float(whole[0])

    def agree(self, value: float, device: torch.device) -> float:
        """Return the first process's value on all of them."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return float(told[0])

    def gather(self, value: Tensor, device: torch.device) -> list[Tensor]:
        """Return all processes' values of one shape, in their order, on the CPU."""
        if self.size == 1:
            return [value]
        mine = value.to(device)
        found = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(found, mine)
        return [entry.cpu() for entry in found]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            distributed.barrier()


ALONE = World()
"""One process, as without a launcher."""
