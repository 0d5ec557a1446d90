# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is refused of a bundle before a driver is asked."""

import sys
from pathlib import Path

from runtime_cases import EXTENTS, fake_image, kernels, load, manifest, refused


def case_damaged_images(folder):
    path = Path(folder) / "before.cubin"
    path.write_bytes(b"\x7fEL")
    with refused("WYVERN_ERROR_BAD_IMAGE", "before.cubin is no cubin (3 bytes"):
        load(folder)
    header = bytearray(fake_image("delta_net_before", "i"))
    header[40:48] = (1 << 20).to_bytes(8, "little")
    path.write_bytes(header)
    with refused("WYVERN_ERROR_BAD_IMAGE", "before.cubin is a damaged cubin"):
        load(folder)
    path.unlink()
    path.mkdir()
    with refused("WYVERN_ERROR_FILE", "before.cubin"):
        load(folder)


def case_malformed_descriptors(folder):
    def broken(change):
        spec = manifest()
        change(spec)
        return spec

    def set_in(*path, value):
        def change(spec):
            for step in path[:-1]:
                spec = spec[step]
            spec[path[-1]] = value

        return change

    def kernel(number):
        return ("variants", 0, "kernels", number)

    box = (*kernel(0), "params", 0)
    checks = [
        (set_in("chunk", value=0), "chunk"),
        (set_in("tensors", 0, "dims", 2, "size", value=0), "dimension 2 of tensor 'q'"),
        (set_in("variants", 0, "workspace", 1, "dims", 0, "multiple", value=0), "dimension 0 of tensor 'before_1'"),
        (set_in(*kernel(0), "block", value=2048), "block 2048"),
        (set_in(*kernel(0), "grid", "chunks", value=0), "delta_net_before has 0 chunks a slot"),
        (set_in(*kernel(1), "grid", "chunks", value=1), "expected 0, since it counts no slots"),
        (set_in(*box, "box", value=[1, 64, 1, 512]), "extent 512"),
        (set_in(*box, "box", value=[1, 64, 1, 128]), "rows of 256 bytes"),
        (set_in(*box, "swizzle", value=96), "swizzle of 96"),
        (set_in(*kernel(0), "params", 2, "dim", value=3), "stride 3 of 'beta'"),
        (set_in("variants", 0, "workspace", 1, "role", value="input"), "'before_1' of variant 'separate' is no workspace"),
        (set_in("tensors", 5, "role", value="workspace"), "workspace tensor 'o' is among"),
        (set_in("variants", value=[]), "0 variants"),
        (lambda spec: spec["variants"].extend(spec["variants"]), "a machine of 0 SMs"),
        (lambda spec: kernels(spec)[0]["params"].extend(EXTENTS * 80), "parameters"),
    ]
    for change, word in checks:
        with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", word):
            load(folder, broken(change))
    words = [
        (set_in("tensors", 0, "dtype", value="fp8"), "unknown dtype 'fp8'"),
        (set_in(*box, "tensor", value="w"), "names the tensor 'w'"),
        (set_in(*box, "kind", value="surface"), "unknown parameter kind 'surface'"),
        (lambda spec: kernels(spec)[0].pop("grid"), "the key 'grid'"),
    ]
    for change, word in words:
        try:
            load(folder, broken(change))
        except ValueError as error:
            assert word in str(error), str(error)
        else:
            raise AssertionError(word)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
