# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a plug-in sees of vLLM's CustomOp: classes are replaced by name as they are made."""

import torch

op_registry_oot: dict[str, type] = {}


class CustomOp(torch.nn.Module):
    def __new__(cls, *args, **kwargs):
        return super().__new__(op_registry_oot.get(cls.__name__, cls))

    def __init__(self):
        super().__init__()
        self._forward_method = self.forward_native

    def forward(self, *args, **kwargs):
        return self._forward_method(*args, **kwargs)

    @classmethod
    def register_oot(cls, _decorated_op_cls=None, name=None):
        def decorator(op_cls):
            assert name not in op_registry_oot, f"Duplicate op name: {name}"
            op_registry_oot[name] = op_cls
            return op_cls

        return decorator if _decorated_op_cls is None else decorator(_decorated_op_cls)
