# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Short convolutions over the ranks of a ContextParallel."""

import torch

from .._ranks.context import read_context


class Neighbours:
    """The tokens before each part of this rank, of the input of a layer: they are exchanged
    once and go through the layer's projections as its own tokens do.

    `context` is None for one rank, and then convolutions are as without it.
    """

    def __init__(self, name, cp_context, x, cu_seqlens, width):
        self.context, self.cu_seqlens = read_context(name, cp_context, cu_seqlens)[0], cu_seqlens
        self._halo = None
        if self.context is not None and width > 1:
            self._parts = self.context.parts(x.shape[1])
            self._halo = self.context.halo(x, width - 1)
            if cu_seqlens is not None:
                self._halo = self._select(self._halo)

    def convolve(self, convolution, project, x):
        """Returns convolution(project(x)) with what is before each part."""
        y = project(x)
        if self._halo is None:
            return convolution(y, self.cu_seqlens)
        pieces = []
        for i, part in enumerate(self._parts):
            piece = y[:, part.offset : part.offset + part.length]
            pieces.append(convolution(piece, self._offsets(part), project(self._halo[:, i])))
        return torch.cat(pieces, 1) if len(pieces) > 1 else pieces[0]

    def _offsets(self, part):
        return None if self.cu_seqlens is None else (self.cu_seqlens - part.start).clamp(0, part.length)

    def _select(self, halo):
        """Zeros for tokens of another sequence than the part begins with."""
        # Filled in on the device: a copy from the host could not be captured into a CUDA graph.
        starts = torch.cat([self.cu_seqlens.new_full((1,), part.start) for part in self._parts])
        sequence = torch.searchsorted(self.cu_seqlens, starts, right=True) - 1
        places = starts[:, None] - halo.shape[2] + torch.arange(halo.shape[2], device=halo.device)
        known = places >= self.cu_seqlens[sequence][:, None]
        return torch.where(known[None, :, :, None], halo, 0.0)
