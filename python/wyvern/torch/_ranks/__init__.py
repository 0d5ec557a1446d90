# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers over the ranks of a torch.distributed group: exact context parallelism.

    context     what the user has: which ranks, which tokens each holds
    plan        the same in plain numbers, which ops take
    slots       which runs of tokens are sequences to a rank's programs
    probe       the transition of a run, and what states make of outputs
    join        states from run to run and from rank to rank
    runs, ops   forward and backward of a layer, as torch.library ops
    sums        running sums, which a layer has before it runs
    halo        the few tokens before a part, for convolutions
    agree       ranks that disagree are told so before they hang
"""
