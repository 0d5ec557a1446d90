# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A folder in the layout that `kernels`, the library of Hugging Face, loads kernels from.

    DIR/build/torch-cuda/metadata.json    who it is
    DIR/build/torch-cuda/__init__.py      the layers, which are wyvern's own
    DIR/build/torch-cpu/...               the same without a GPU

It holds no kernels: those are in wyvern, which has to be importable where it is loaded.
"""

import json
from pathlib import Path

import wyvern

_INIT = """# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
\"\"\"Gated DeltaNet of transformers, by wyvern {version}.\"\"\"

from wyvern.integrations.transformers import _kernel_layers as layers

__all__ = ["layers"]
"""


def write_kernel_folder(folder: Path) -> Path:
    """Writes a kernel folder; returns its absolute path, which is what transformers wants.

    Raises FileExistsError where something else is.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty: name a new folder")
    for backend in ("cuda", "cpu"):
        variant = folder / "build" / f"torch-{backend}"
        variant.mkdir(parents=True)
        (variant / "metadata.json").write_text(json.dumps(_metadata(backend), indent=2) + "\n")
        (variant / "__init__.py").write_text(_INIT.format(version=wyvern.__version__))
    return folder


def _metadata(backend: str) -> dict[str, object]:
    return {
        "id": f"_wyvern_{backend}_{wyvern.__version__.replace('.', '_')}",
        "name": "wyvern",
        "version": 1,
        "license": "Apache-2.0 WITH LLVM-exception",
        "python-depends": [],
        "backend": {"type": backend},
    }
