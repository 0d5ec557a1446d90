# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training on several processes, started by torchrun: some share a sequence, and groups of
those share a batch.

Every process draws the whole batch and takes its part of it, so that a run sees the same
tokens on any number of processes.
"""

import os

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from wyvern.torch import ContextParallel


class Ranks:
    """One process, or one of those that torchrun has started."""

    def __init__(self, context_parallel, order, device):
        self.rank, self.size, self.context, self.device, self._started = 0, 1, None, device, False
        if context_parallel == 1 and "WORLD_SIZE" not in os.environ:
            return
        if device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            is_gpu = device.type == "cuda"
            dist.init_process_group("nccl" if is_gpu else "gloo", device_id=self.device if is_gpu else None)
            self._started = True
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        if self.size % context_parallel != 0:
            raise ValueError(f"--context-parallel {context_parallel}: expected a divisor of the {self.size} processes")
        self.replicas = self.size // context_parallel
        mesh = init_device_mesh(device.type, (self.replicas, context_parallel), mesh_dim_names=("data", "context"))
        self.replica = mesh.get_local_rank("data")
        self.context = ContextParallel(mesh["context"], order=order)

    def close(self):
        """Leaves together: a process that ends first would look to the others like one that died."""
        if self._started:
            dist.barrier()
            dist.destroy_process_group()

    def take(self, batch):
        """This process's part of inputs and labels [B, T]."""
        if self.context is None:
            return batch
        rows, tokens = batch[0].shape
        parts = self.context.size * (2 if self.context.order == "zigzag" else 1)
        if rows % self.replicas != 0 or tokens % parts != 0:
            raise ValueError(
                f"--batch {rows} --tokens {tokens}: expected multiples of {self.replicas} and {parts}, one for each of "
                f"{self.size} processes"
            )
        mine = (x.chunk(self.replicas)[self.replica] for x in batch)
        return tuple(self.context.local(x).contiguous() for x in mine)

    def mean(self, x):
        """Returns the mean over all processes, in the place of x."""
        if self.size > 1:
            dist.all_reduce(x)
            x /= self.size
        return x

    def average_gradients(self, model):
        """As DistributedDataParallel does; here in one piece, since the model is small."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters()]
        mean = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, piece in zip(gradients, mean.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(piece.view_as(gradient))
