# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tensors of a call, checked and brought to what an op takes."""

import sys

import torch

from ._gate import bounded
from ._ops import compute_dtype


_PLAIN = (torch.Tensor, torch.nn.Parameter)


def expect_tensors(name, /, **tensors):
    """Raises TypeError for what is no tensor, or none with strides."""
    for what, tensor in tensors.items():
        if type(tensor) in _PLAIN:
            if tensor.layout is not torch.strided:
                raise TypeError(f"{name}: {what} is a tensor of {tensor.layout}, expected a dense one: pass {what}.to_dense()")
            continue
        if not isinstance(tensor, torch.Tensor):
            found = "None" if tensor is None else f"a {type(tensor).__name__}"
            raise TypeError(f"{name}: {what} is {found}, expected a tensor")
        _refuse_sharded(name, what, tensor)


def _refuse_sharded(name, what, tensor):
    """Programs have no rules by which DTensors are divided."""
    module = sys.modules.get("torch.distributed.tensor")
    if module is not None and isinstance(tensor, module.DTensor):
        raise TypeError(
            f"{name}: {what} is a DTensor, expected a tensor of this rank. Heads are independent: shard all operands "
            "over them, pass x.to_local() of each, and make DTensor.from_local(o, mesh, [Shard(2)]) of the result. For "
            "sequences over ranks pass local tensors with cp_context=ContextParallel(group)"
        )


def expect_shape(name, what, tensor, shape):
    """Raises ValueError for another shape."""
    if list(tensor.shape) != list(shape):
        raise ValueError(
            f"{name}: {what} has shape {list(tensor.shape)}, expected {list(shape)}"
        )


def expect_integers(name, what, tensor, shape):
    """Raises TypeError for what is no tensor of int32 or int64, ValueError for one of another shape, in which words are any
    extent."""
    expect_tensors(name, **{what: tensor})
    words = ", ".join(map(str, shape))
    if tensor.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name}: {what} is {tensor.dtype}, expected int32 or int64 of shape [{words}]")
    if tensor.dim() != len(shape) or any(not isinstance(n, str) and n != have for n, have in zip(shape, tensor.shape)):
        raise ValueError(f"{name}: {what} has shape {list(tensor.shape)}, expected [{words}]")


def expect_floats(name, what, tensor):
    """Raises TypeError for a tensor that a cast to floating-point numbers would lose something of, and
    that could have no gradient."""
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"{name}: {what} is {tensor.dtype}, expected a floating-point type")


def expect_device(name, q, /, **tensors):
    """Raises TypeError for tensors that are not on q's device."""
    for what, tensor in tensors.items():
        if tensor.device != q.device:
            raise TypeError(f"{name}: q is on {q.device}, {what} on {tensor.device}; expected one device")


def check_shapes(name, arguments, tensors, sizes=()):
    """Returns the sizes that tensors tell, added to those that are known. Raises ValueError
    where they do not agree."""
    sizes = {"one": 1} | dict(sizes)
    for argument, tensor in zip(arguments, tensors):
        try:
            sizes = argument.fit(tensor.shape, sizes)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return sizes


def check_sequences(name, batch, cu_seqlens):
    """Returns the number of sequences. Raises TypeError or ValueError for a cu_seqlens that
    is no vector of offsets into one batch row; the offsets themselves are not read."""
    if cu_seqlens is None:
        return batch
    expect_tensors(name, cu_seqlens=cu_seqlens)
    if cu_seqlens.dtype not in (torch.int32, torch.int64) or cu_seqlens.dim() != 1 or cu_seqlens.shape[0] == 0:
        raise TypeError(
            f"{name}: cu_seqlens is {cu_seqlens.dtype} of shape {list(cu_seqlens.shape)}, "
            "expected int32 or int64 of shape [N + 1]"
        )
    if batch != 1:
        raise ValueError(
            f"{name}: the batch size is {batch}, expected 1 with cu_seqlens: pack the sequences into one"
        )
    return cu_seqlens.shape[0] - 1


def convert(name, arguments, tensors):
    """Returns tensors in the types of an op: those that are narrow in one, autocast's where
    it is on, all others in float32 or float64. Log decays are made finite."""
    expect_device(name, tensors[0], **{x.name: tensor for x, tensor in zip(arguments, tensors)})
    autocast = _autocast_dtype(tensors[0].device.type)
    narrow = {
        x.name: _cast(tensor, autocast) if autocast and _follows_autocast(tensor) else tensor
        for x, tensor in zip(arguments, tensors)
        if x.is_narrow
    }
    _check_dtypes(name, narrow)
    for x, tensor in zip(arguments, tensors):
        if not x.is_narrow:
            expect_floats(name, x.name, tensor)
    wide = compute_dtype(next(iter(narrow.values())))
    given = (
        narrow[x.name] if x.is_narrow else bounded(_cast(tensor, wide)) if x.needs_bound else _cast(tensor, wide)
        for x, tensor in zip(arguments, tensors)
    )
    return tuple(given)


def _cast(x, dtype):
    # Asking costs a tenth of the host time of a cast that does nothing.
    return x if x.dtype == dtype else x.to(dtype)


def _autocast_dtype(device):
    """Autocast's dtype, or None where it is off. The meta device has none."""
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def _follows_autocast(x):
    """Autocast leaves float64 alone, as it does in torch's own operations."""
    return x.dtype.is_floating_point and x.dtype != torch.float64


def _check_dtypes(name, tensors):
    (first, q), *others = tensors.items()
    for what, tensor in others:
        if tensor.dtype != q.dtype:
            raise TypeError(
                f"{name}: {first} is {q.dtype}, {what} is {tensor.dtype}; expected one dtype"
            )
    taken = [torch.bfloat16, torch.float16]
    if q.device.type in ("cpu", "meta"):
        taken += [torch.float32, torch.float64]
    if q.dtype not in taken:
        names, verb = ", ".join(tensors), "are" if others else "is"
        expected = ", ".join(str(dtype).removeprefix("torch.") for dtype in taken)
        raise TypeError(
            f"{name}: {names} {verb} {q.dtype} on {q.device.type}, expected one of {expected}"
        )
