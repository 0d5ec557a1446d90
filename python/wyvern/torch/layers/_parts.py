# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the layers have around their recurrence: the short convolution, the parameters
of a gate, the output norm, and padded batches as packed ones."""

import math
import numbers

import torch
import torch.nn.functional as F
from torch import nn


def check_sizes(**sizes):
    """Refuses a size that is not a whole number of 1 or more."""
    for what, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"{what} is {size!r}, expected a whole number of 1 or more")


class ShortConvolution(nn.Conv1d):
    """A causal convolution of each channel on its own, and an activation.

    x [B, T, D] -> [B, T, D]. With cu_seqlens no sequence sees the one before it. halo
    [B, width - 1, D]: what is before x; None for zeros. Of packed sequences [1, width - 1, D], of
    the one that x begins with, or [N, width - 1, D], of each.
    """

    def __init__(self, channels, width, bias, silu):
        super().__init__(channels, channels, width, groups=channels, bias=bias)
        self.silu = silu

    def forward(self, x, cu_seqlens=None, halo=None):
        if x.shape[1] == 0:
            y = x
        elif cu_seqlens is None:
            y = self._convolve(x, halo)
        else:
            # Zeros before each sequence. Its length is not needed on the host: the
            # row of a token is known on the device, the number of rows from shapes.
            gap = self.kernel_size[0] - 1
            token = torch.arange(x.shape[1], device=x.device)
            sequence = torch.searchsorted(cu_seqlens.to(token.dtype), token, right=True)
            row = token + gap * sequence
            spread = x.new_zeros(1, x.shape[1] + gap * cu_seqlens.shape[0], x.shape[2])
            spread = spread.index_copy(1, row, x)
            if halo is not None:
                before = torch.arange(gap, device=x.device)
                first = row[:1] - gap
                if halo.shape[0] == cu_seqlens.shape[0] - 1:
                    first = cu_seqlens[:-1].to(token.dtype) + gap * torch.arange(halo.shape[0], device=x.device)
                spread = spread.index_copy(1, (first[:, None] + before).flatten(), halo.flatten(0, 1)[None])
            y = self._convolve(spread, None).index_select(1, row)
        return F.silu(y) if self.silu else y

    def _convolve(self, x, halo):
        x = x.transpose(1, 2)
        if halo is None:
            x = F.pad(x, (self.kernel_size[0] - 1, 0))
        else:
            x = torch.cat([halo.transpose(1, 2), x], -1)
        return super().forward(x).transpose(1, 2)


@torch.no_grad()
def reset_gate(A_log, dt_bias, least=0):
    """Initializes the parameters of the log decay -exp(A_log) softplus(a + dt_bias). As in
    Mamba-2: exp(A_log) uniform in (least, 16), softplus(dt_bias) log-uniform in (0.001, 0.1).
    Optimizers should not decay them."""
    A_log.uniform_(least, 16).log_()
    log_dt = math.log(0.001) + torch.rand_like(dt_bias) * math.log(0.1 / 0.001)
    dt = log_dt.exp().clamp(min=1e-4)
    dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus inverted
    A_log._no_weight_decay = True
    dt_bias._no_weight_decay = True


def low_rank_projection(inputs, rank, outputs, bias=False):
    """Two projections, one after the other."""
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias))


class OutputNorm(nn.RMSNorm):
    """RMSNorm of each head in float32, times act(gate) if the layer has a gate."""

    def __init__(self, dim, eps, activation=F.silu):
        super().__init__(dim, eps=eps)
        self.activation = activation

    def forward(self, x, gate=None):
        wide = torch.promote_types(x.dtype, torch.float32)
        y = F.rms_norm(x.to(wide), self.normalized_shape, self.weight.to(wide), self.eps)
        if gate is not None:
            y = y * self.activation(gate.to(wide))
        return y.to(x.dtype)


def unpad(x, mask):
    """The tokens of x [B, T, D] where mask [B, T] is not 0, as one packed batch
    [1, N, D], their places in the flattened x, and cu_seqlens. Reads the device."""
    if mask.shape != x.shape[:2]:
        raise ValueError(
            f"attention_mask has shape {list(mask.shape)}, expected {list(x.shape[:2])}: 0 for "
            "padding, 1 for tokens. A mask of token pairs has no meaning in a recurrence"
        )
    lengths = mask.ne(0).sum(1)
    # An additive mask has 0 for tokens, and something large and negative for padding.
    wrong = (mask.ne(0) & mask.ne(1)).any()
    if mask.is_floating_point():
        wrong = wrong | lengths.eq(0).any()
    if wrong:
        raise ValueError(
            "attention_mask: expected 0 for padding and 1 for tokens, and a token in each row of a "
            "floating-point mask, found other values: is it an additive one? Pass mask == 0 for it"
        )
    places = mask.flatten().nonzero().flatten()
    return x.flatten(0, 1)[places][None], places, F.pad(lengths.cumsum(0), (1, 0))


def repad(x, places, batch, tokens):
    """The inverse of unpad; zeros where there is no token."""
    flat = x.new_zeros(batch * tokens, x.shape[2]).index_copy(0, places, x[0])
    return flat.unflatten(0, (batch, tokens))
