# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a plug-in sees of SGLang's arguments."""

import types

LINEAR_ATTN_KERNEL_BACKEND_CHOICES = ["triton", "cutedsl", "flashinfer"]

_args = types.SimpleNamespace(linear_attn_backend="triton", linear_attn_decode_backend=None, linear_attn_prefill_backend=None)


def add_linear_attn_kernel_backend_choices(choices):
    LINEAR_ATTN_KERNEL_BACKEND_CHOICES.extend(choices)


def get_global_server_args():
    return _args
