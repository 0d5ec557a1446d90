# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The base class of SGLang's kernels of linear attention, by its signatures."""

from abc import ABC, abstractmethod


class LinearAttnKernelBase(ABC):
    uses_state_checkpoints = False

    @abstractmethod
    def decode(self, q, k, v, a, b, *, A_log, dt_bias, ssm_states, cache_indices, query_start_loc, **kwargs): ...

    @abstractmethod
    def extend(self, q, k, v, g, beta, *, ssm_states, cache_indices, query_start_loc, **kwargs): ...

    def target_verify(
        self, A_log, dt_bias, q, k, v, a, b, *, ssm_states, cache_indices, query_start_loc, **kwargs
    ):
        raise NotImplementedError(f"{self.__class__.__name__} does not support target_verify")
