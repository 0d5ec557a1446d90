# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.torch.Layer`: a module around the op of any spec."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch import nn

import wyvern
from wyvern._core.layers import computed_names, operand_roles
from wyvern._core.specs import Spec

from .. import _few
from .._arguments import check_sequences, expect_tensors
from .._gate import log_decay
from .._l2norm import l2norm
from .._op import op
from .._ranks.context import ContextParallel
from ._cache import Continued, LayerStates
from ._parts import OutputNorm, ShortConvolution, check_sizes, reset_gate
from ._ranks import Neighbours


class Layer(nn.Module):
    """A sequence layer [B, T, hidden_size] -> [B, T, hidden_size] of any spec.

    Each operand comes from a linear projection `<name>_proj` of the input, without bias:

    q and keys      a causal convolution `<name>_conv1d` over conv_size tokens and SiLU;
                    where a step erases also the L2 norm of each row, without which the
                    state could grow without bound
    values          the convolution and SiLU
    rates           a sigmoid in float32, times 2 with allow_neg_eigval
    the log decay   -exp(A_log) softplus(x + dt_bias) in float32, with A_log a head and
                    dt_bias a head or, in a decay a channel, a channel; as in Mamba-2
    level_scales    a softplus in float32
    scales          a sigmoid: those are names before the last one of a product, such as
                    b in `erase: b * k`

    What `compute` of a spec reads has none of these activations, since the spec says what is made of
    it: it is the projection, and of q, keys and values, unless conv_size is 0, the convolution and
    SiLU of that. What the spec has for all tokens (`parameters`) is an nn.Parameter of that name:
    A_log and dt_bias begin as in Mamba-2, others at 1 (`reset_parameters`).

    o then goes through an RMSNorm of each head in float32 (`o_norm`), which use_gate
    multiplies by SiLU of one more projection (`o_gate`), and through `o_proj`.

    spec
        What `wyvern.torch.op` takes; heads and head dims are the spec's.
    hidden_size
        Channels of the input and of the output.
    conv_size
        Tokens of the short convolutions; 0 for none, and then the same activations.
    allow_neg_eigval
        Rates reach 2, of which the spec says so: `max_rate: 2` of each step.
    activations
        By the name of an operand: a function to take in the place of what is listed
        above, of the projected (and, for q, keys and values, convolved) tensor in the
        operand's own shape. For the log decay it has to return none above 0.
    norm_eps
        What the RMSNorm of o adds to the mean square.
    layer_idx
        The layer's part of a cache.

    On a GPU activations are in bf16 or fp16: parameters of that type, or autocast.
    Raises ValueError for sizes and for activations of what is no operand, and what
    `wyvern.torch.op` raises.
    """

    def __init__(
        self,
        spec: Union[Spec, "wyvern.Program"],
        hidden_size: int,
        *,
        layer: Optional[str] = None,
        conv_size: int = 4,
        use_gate: bool = False,
        allow_neg_eigval: bool = False,
        activations: Optional[Mapping[str, Callable[[torch.Tensor], torch.Tensor]]] = None,
        norm_eps: float = 1e-5,
        layer_idx: Optional[int] = None,
    ) -> None:
        super().__init__()
        self.layer_idx = layer_idx
        check_sizes(hidden_size=hidden_size, conv_size=conv_size or 1)
        self.op = op(spec, layer=layer)
        self.hidden_size = hidden_size
        self.conv_size = conv_size
        self.allow_neg_eigval = allow_neg_eigval
        self.activations = dict(activations or {})
        for name in self.activations:
            if name not in self.op.operands:
                raise ValueError(f"activations: {name} is no operand; those are {', '.join(self.op.operands)}")
        if allow_neg_eigval:
            _expect_rates_to_two(self.op.spec)
        self.roles = operand_roles(self.op.spec)
        self.computed = computed_names(self.op.spec)
        self.erases = any(step["erase"] != "none" for step in self.op.spec["steps"])
        heads, dims = self.op.spec["heads"]["value"], self.op.spec["dims"]["value"]
        for name in self.op.operands:
            self._make_operand(name)
        self.reset_parameters()
        self.o_norm = OutputNorm(dims, norm_eps)
        self.o_gate = nn.Linear(hidden_size, heads * dims, bias=False) if use_gate else None
        self.o_proj = nn.Linear(heads * dims, hidden_size, bias=False)

    def _make_operand(self, name: str) -> None:
        rows, sizes = self.op.row_shape(name)
        if rows == 0:
            if hasattr(self, name):
                raise ValueError(f"Layer: the parameter {name!r} has a name that modules use; name it differently")
            self.register_parameter(name, nn.Parameter(torch.empty(sizes)))
            return
        channels = rows * math.prod(sizes)
        self.add_module(f"{name}_proj", nn.Linear(self.hidden_size, channels, bias=False))
        role = self.roles.get(name)
        if role in ("query", "key", "value") and self.conv_size:
            self.add_module(f"{name}_conv1d", ShortConvolution(channels, self.conv_size, False, False))
        if role == "decay" and name not in self.activations and name not in self.computed:
            self.A_log = nn.Parameter(torch.empty(sizes[0]))
            self.dt_bias = nn.Parameter(torch.empty(sizes))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initializes the parameters that are the layer's own: A_log and dt_bias as in Mamba-2, what
        else `compute` shares between tokens with 1. Submodules have their own reset_parameters."""
        own = dict(self._parameters)
        if {"A_log", "dt_bias"} <= own.keys():
            reset_gate(own.pop("A_log"), own.pop("dt_bias"))
        for parameter in own.values():
            assert parameter is not None
            parameter.fill_(1)

    def extra_repr(self) -> str:
        """Returns what repr shows of the layer beside its submodules."""
        return f"{self.op!r}, hidden_size={self.hidden_size}"

    def forward(
        self,
        hidden_states: torch.Tensor,
        cu_seqlens: Optional[torch.Tensor] = None,
        cp_context: Optional[ContextParallel] = None,
        past_key_values: Any = None,
    ) -> torch.Tensor:
        """hidden_states [B, T, hidden_size] -> the same shape.

        cu_seqlens [N + 1], int32 or int64 on the device: N sequences packed into a batch of
        1, of which none sees another. cp_context: by which ranks hold parts of the sequences;
        hidden_states are this rank's tokens, and cu_seqlens offsets into all of them.
        past_key_values: a `Cache`, or FLA's; the tokens follow on what it has, and it is brought up
        to date. Up to 16 go through the program that decodes, if no gradients are recorded. Raises
        ValueError for other shapes.
        """
        expect_tensors("Layer", hidden_states=hidden_states)
        shape = list(hidden_states.shape)
        if len(shape) != 3 or shape[2] != self.hidden_size:
            raise ValueError(f"Layer: hidden_states has shape {shape}, expected [B, T, {self.hidden_size}]")
        check_sequences("Layer", shape[0], cu_seqlens)
        if past_key_values is None:
            neighbours: Any = Neighbours("Layer", cp_context, hidden_states, cu_seqlens, self.conv_size)
            operands: dict[str, Any] = {x: self._operand(x, hidden_states, neighbours) for x in self.op.operands}
            o, _ = self.op(**operands, cu_seqlens=cu_seqlens, cp_context=neighbours.context)
        else:
            if "level" in self.roles.values() and not self.op.carries:
                raise NotImplementedError("Layer: past_key_values with levels needs resume: true in the spec")
            if cp_context is not None:
                raise NotImplementedError("Layer: past_key_values with cp_context is not supported: decode on one rank")
            states = LayerStates("Layer", past_key_values, self.layer_idx, ())
            neighbours = Continued(states, cu_seqlens)
            operands = {x: self._operand(x, hidden_states, neighbours) for x in self.op.operands}
            o, state = _few.advance(self.op, operands, states.recurrent, cu_seqlens)
            states.write(neighbours.kept, state, shape[1])
        gate = None if self.o_gate is None else self.o_gate(hidden_states).unflatten(-1, o.shape[2:])
        return self.o_proj(self.o_norm(o, gate).flatten(2))

    def _operand(self, name: str, hidden_states: Any, neighbours: Any) -> torch.Tensor:
        rows, sizes = self.op.row_shape(name)
        if rows == 0:
            parameter = self.get_parameter(name)
            return self.activations[name](parameter) if name in self.activations else parameter
        project, is_convolved = self.get_submodule(f"{name}_proj"), f"{name}_conv1d" in self._modules
        if is_convolved:
            x = neighbours.convolve(self.get_submodule(f"{name}_conv1d"), project, hidden_states)
        else:
            x = project(hidden_states)
        x = x.unflatten(-1, (rows, *sizes)).flatten(1, 2)
        if name in self.activations:
            return self.activations[name](x)
        if name in self.computed:
            return F.silu(x) if is_convolved else x
        return self._activate(self.roles[name], x)

    def _activate(self, role: str, x: torch.Tensor) -> torch.Tensor:
        if role == "value":
            return F.silu(x)
        if role in ("query", "key"):
            return l2norm(F.silu(x)) if self.erases else F.silu(x)
        if role == "scale":
            return x.sigmoid()
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        if role == "level":
            return F.softplus(wide)
        if role == "rate":
            return (2 if self.allow_neg_eigval else 1) * wide.sigmoid()
        A_log = self.A_log.view(-1, *(1 for _ in self.dt_bias.shape[1:]))
        return log_decay(wide, A_log, self.dt_bias)


def _expect_rates_to_two(spec: dict[str, Any]) -> None:
    """Programs of other specs let states grow where keys repeat (docs/numerics.md)."""
    for step in spec["steps"]:
        if isinstance(step["rate"], str) and step.get("max_rate", 1) < 2:
            raise ValueError(
                f"allow_neg_eigval: {step['rate']} then reaches 2, and the spec says nothing of it: write max_rate: 2 into "
                "the step"
            )
