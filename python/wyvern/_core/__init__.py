# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What every framework's adaptor stands on; nothing here imports one.

    specs, compile, reference   from a layer spec to a program, or to float64 numbers
    programs                    what all programs are to their callers
    cpu, arrays                 programs of this machine's CPU, on NumPy arrays and their like
    manifest, gpu, tensors      bundles, on tensors of a framework that has an adaptor
    layers, bundles             which bundle serves a layer, and the cache
"""
