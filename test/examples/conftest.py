# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The examples are imported from the repository, as `python3 -m` finds them there."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))


@pytest.fixture(autouse=True)
def torch_settings():
    """What the examples set for their process. One thread: their tensors are tiny."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    if torch.are_deterministic_algorithms_enabled():  # setting it imports much
        torch.use_deterministic_algorithms(False)
