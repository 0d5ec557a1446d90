# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""manifest.json of a bundle: read, checked, and its images with it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Union

SCHEMA = 3

Manifest = dict[str, Any]
Folder = Union[str, "os.PathLike[str]"]

_OF_A_PROGRAM = ("chunk", "tensors", "variants")


class BundleError(ValueError):
    """A bundle folder that cannot be used: what is wrong, and where."""


def read_manifest(folder: Folder) -> Manifest:
    """Reads and checks `manifest.json` of the bundle in `folder`, without reading the images.
    Raises BundleError for what is no bundle, is damaged, or is of another version."""
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise BundleError(
            f"{folder} is no bundle: cannot read manifest.json ({error.strerror})"
        ) from None
    except ValueError as error:
        raise BundleError(f"{path} is damaged: {error}; compile the bundle again") from None
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise BundleError(f"{path} is no manifest: it has no 'schema'")
    if manifest["schema"] != SCHEMA:
        raise BundleError(
            f"{path} has schema {manifest['schema']}, this version of wyvern reads "
            f"schema {SCHEMA}: compile the bundle again or install a matching wyvern"
        )
    for key in ("name", "target", "residuals", "backward", *_OF_A_PROGRAM):
        if key not in manifest:
            raise BundleError(f"{path} has no '{key}': compile the bundle again")
    for key in _OF_A_PROGRAM:
        if manifest["backward"] is not None and key not in manifest["backward"]:
            raise BundleError(f"{path} has no '{key}' in 'backward': compile the bundle again")
    return manifest


def kernels_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Returns the kernels of all variants of a bundle's programs."""
    programs = [manifest] + ([manifest["backward"]] if manifest["backward"] else [])
    return [
        kernel
        for program in programs
        for variant in program["variants"]
        for kernel in variant["kernels"]
    ]


def check_images(manifest: Manifest, folder: Path) -> None:
    """Raises BundleError if an image is not there or not the one that was compiled."""
    for kernel in kernels_of(manifest):
        path = folder / kernel["image"]
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BundleError(f"cannot read {path} ({error.strerror})") from None
        if digest != kernel["sha256"]:
            raise BundleError(
                f"{path} is damaged: its sha256 is {digest[:16]}..., the manifest says "
                f"{kernel['sha256'][:16]}...; compile the bundle again"
            )


def backward_manifest(manifest: Manifest) -> Manifest:
    """Returns the manifest of the backward, as if it stood alone."""
    own = {"name": manifest["name"] + "_backward", "residuals": [], "backward": None}
    combined: Manifest = manifest | manifest["backward"] | own
    return combined
