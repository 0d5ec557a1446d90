# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a layer keeps between calls: the state of its recurrence, and the last inputs of its
short convolutions. In `Cache`, in FLA's (which has the same methods) or in transformers'."""

from typing import Any, Optional

import torch


class Cache:
    """States of the layers of one model for one batch, for `past_key_values`.

    The methods are those of fla.models.utils.Cache. cache[layer_idx] has `recurrent_state`
    [N, HV, K, V] in float32 (of a layer that goes on from more a dict, final_state of its op) and `conv_state`, for q, k and v the last conv_size inputs
    [N, channels, conv_size], oldest first.
    """

    def __init__(self) -> None:
        self._layers: dict[int, dict[str, Any]] = {}
        self._tokens: dict[int, int] = {}

    def __len__(self) -> int:
        return max(self._layers, default=-1) + 1

    def __getitem__(self, layer_idx: int) -> dict[str, Any]:
        return self._layers.get(layer_idx, {})

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Returns how many tokens the layer `layer_idx` has seen; padding counts."""
        return self._tokens.get(layer_idx, 0)

    def update(
        self,
        recurrent_state: Optional[torch.Tensor] = None,
        conv_state: Optional[tuple[torch.Tensor, ...]] = None,
        layer_idx: int = 0,
        offset: int = 0,
    ) -> dict[str, Any]:
        """Keeps the states of the layer `layer_idx` after `offset` more tokens, recurrent_state
        [N, HV, K, V] and conv_state, [N, channels, conv_size] for q, k and v. Returns them."""
        self._layers[layer_idx] = {"recurrent_state": recurrent_state, "conv_state": conv_state}
        self._tokens[layer_idx] = self.get_seq_length(layer_idx) + offset
        return self._layers[layer_idx]


class LayerStates:
    """One layer's part of a cache: what it reads, and how it writes. `conv` and `recurrent` are
    None where nothing has been kept yet."""

    def __init__(self, name: str, cache: Any, layer_idx: Optional[int], channels: tuple[int, ...]):
        self.cache = cache
        self._layer_idx = 0 if layer_idx is None else layer_idx
        self._is_transformers = hasattr(cache, "update_recurrent_state")
        if self._is_transformers:
            self._read_transformers(name, channels)
        elif hasattr(cache, "update") and hasattr(cache, "__getitem__"):
            kept = cache[self._layer_idx] if len(cache) > self._layer_idx else None
            kept = kept or {}
            self.conv, self.recurrent = kept.get("conv_state"), kept.get("recurrent_state")
        else:
            raise TypeError(
                f"{name}: past_key_values is a {type(cache).__name__}, expected a wyvern.torch.Cache, one of "
                "FLA's or one of transformers' with linear attention layers"
            )

    def _read_transformers(self, name: str, channels: tuple[int, ...]) -> None:
        cache, index = self.cache, self._layer_idx
        if not channels:
            raise NotImplementedError(
                f"{name}: a cache of transformers keeps states beside those of q, k and v of a convolution; "
                "without these, and for wyvern.torch.Layer, take a wyvern.torch.Cache"
            )
        if cache.is_recording_past(index):
            raise NotImplementedError(
                f"{name}: a cache that records the past to be cropped is not supported: the state of a "
                "recurrence cannot be cropped"
            )
        conv = cache.get_conv_state(index)
        # transformers keeps one state of a convolution a layer.
        self.conv = None if conv is None else conv.split(channels, 1)
        self.recurrent = cache.get_recurrent_state(index)

    def write(self, conv: tuple[torch.Tensor, ...], recurrent: torch.Tensor, tokens: int) -> None:
        """Keeps the states after `tokens` more tokens."""
        if not self._is_transformers:
            self.cache.update(
                recurrent_state=recurrent, conv_state=conv or None, layer_idx=self._layer_idx, offset=tokens
            )
            return
        self.cache.update_conv_state(torch.cat(conv, 1), self._layer_idx, conv_kernel_size=conv[0].shape[2])
        self.cache.update_recurrent_state(recurrent, self._layer_idx)


class Continued:
    """Short convolutions that go on from kept inputs, in the place of `Neighbours`. `kept` has what
    is to be kept of the convolutions so far, in order."""

    context = None

    def __init__(self, states: LayerStates, cu_seqlens: Optional[torch.Tensor]):
        self._before, self._cu_seqlens = states.conv, cu_seqlens
        self.kept: tuple[torch.Tensor, ...] = ()

    def convolve(self, convolution: Any, project: Any, x: torch.Tensor) -> torch.Tensor:
        """Returns convolution(project(x)) of tokens that follow on those that were kept."""
        y = project(x)
        width = convolution.kernel_size[0]
        sequences = y.shape[0] if self._cu_seqlens is None else self._cu_seqlens.shape[0] - 1
        if self._before is None:
            before = y.new_zeros(sequences, width, y.shape[2])
        else:
            before = self._before[len(self.kept)].transpose(1, 2).to(y.dtype)
        self.kept = (*self.kept, _last_inputs(y, before, self._cu_seqlens).transpose(1, 2))
        halo = before[:, 1:]
        if self._cu_seqlens is None:
            return convolution(y, None, halo)
        return convolution(y, self._cu_seqlens, halo)


def _last_inputs(x: torch.Tensor, before: torch.Tensor, cu_seqlens: Optional[torch.Tensor]) -> torch.Tensor:
    """The last inputs of each sequence [N, width, D], of those before x and x."""
    width = before.shape[1]
    if cu_seqlens is None:
        return torch.cat([before, x], 1)[:, -width:]
    starts, ends = cu_seqlens[:-1, None].long(), cu_seqlens[1:, None].long()
    places = ends - width + torch.arange(width, device=x.device)
    is_old = places < starts
    old = before.gather(1, (places - starts + width).clamp(0, width - 1)[..., None].expand_as(before))
    if x.shape[1] == 0:
        return old
    return torch.where(is_old[..., None], old, x[0][places.clamp(min=0)])
