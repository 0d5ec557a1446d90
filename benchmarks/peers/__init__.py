# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One file a peer: how its public functions are called. Nothing of a peer is in here.

A peer is a function `prepare(inputs)` that returns a `Run`, or raises `Refused` (base.py) for a
case that the peer does not take. It imports the peer inside, converts the inputs to
what the peer takes (outside of the timing), and checks nothing: the benchmark does.
"""

import functools

from . import cudnn, fla, flash_qla, flashinfer, jla

PEERS = {
    "flashinfer": functools.partial(flashinfer.prepare, context_parallel=False),
    "flashinfer-cp": functools.partial(flashinfer.prepare, context_parallel=True),
    "flash_qla": functools.partial(flash_qla.prepare, context_parallel=True),
    "flash_qla-exact": functools.partial(flash_qla.prepare, context_parallel=False),
    "fla": fla.prepare,
    "cudnn": cudnn.prepare,
    "jla": jla.prepare,
}

# The same for a training step: `Run.read` returns gradients (base.STEP_RESULTS).
TRAINED_PEERS = {
    "fla": fla.prepare_step,
    "flash_qla": flash_qla.prepare_step,
    "jla": jla.prepare_step,
}
