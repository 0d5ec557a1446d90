# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit configuration. Features that tests may require:

ptxas  a ptxas to assemble PTX with
cuda   an NVIDIA GPU with its driver
torch  PyTorch in the Python that tests run
"""

import ctypes
import glob
import os
import shutil
import subprocess

import lit.formats
from lit.llvm import llvm_config

config.name = "Wyvern"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", ".c", ".yaml"]
config.excludes = ["Inputs", "lint", "python", "unittests"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.wyvern_obj_root, "test")

bin_dir = os.path.join(config.wyvern_obj_root, "bin")
llvm_config.with_environment("PATH", config.llvm_tools_dir, append_path=True)
llvm_config.with_environment("PATH", bin_dir, append_path=True)
llvm_config.with_system_environment(["HOME", "CUDA_HOME", "CUDA_PATH", "WYVERN_PTXAS"])


def find_ptxas():
    """Where wyvernc and scripts/ look, in the same order."""
    cuda_roots = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    candidates = [os.environ.get("WYVERN_PTXAS")]
    candidates += [os.path.join(root, "bin", "ptxas") for root in cuda_roots if root]
    candidates.append(shutil.which("ptxas"))
    candidates += glob.glob(os.path.join(config.wyvern_obj_root, "venv/lib/python3*/site-packages/nvidia/cu13/bin/ptxas"))
    return next((path for path in candidates if path and os.access(path, os.X_OK)), None)


def has_gpu():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def has_torch():
    probe = [config.python_executable, "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('torch'))"]
    return subprocess.run(probe, capture_output=True).returncode == 0


ptxas = find_ptxas()
if ptxas:
    config.available_features.add("ptxas")
    # Every test sees the same ptxas, wherever it was found.
    llvm_config.with_environment("WYVERN_PTXAS", ptxas)
    config.substitutions.append(("%ptxas", ptxas))
if has_gpu():
    config.available_features.add("cuda")
if has_torch():
    config.available_features.add("torch")

config.substitutions.append(("%python", config.python_executable))
config.substitutions.append(("%specs", os.path.join(config.wyvern_src_root, "specs")))
config.substitutions.append(("%wyvern_src", config.wyvern_src_root))
config.substitutions.append(("%wyvern_obj", config.wyvern_obj_root))
