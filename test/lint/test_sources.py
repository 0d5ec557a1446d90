# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules for files: licence line, size, links that lead somewhere, walls that hold."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".cpp", ".h", ".c", ".td", ".py", ".sh"}
# Names of layers and models. Only specs, documents and tests may know them.
LAYERS = re.compile(r"delta[-_ ]?net|gated[-_ ]?delta|delta[-_ ]?product|preconditioned|rwkv|mamba|\bssd\b|comba\b|kimi|dplr"
                    r"|\bgla\b|gdn|\b\w?kda|linear[-_ ]?attention|qwen", re.I)
# Folders that are not sources.
GENERATED = re.compile(r"build.*|dist|__pycache__|\.git|\.venv|.*\.egg-info|\.pytest_cache")


def files(*folders):
    """The text of every source file of some folders (default: all), by name."""
    found = {}
    for start in folders or ("",):
        for folder, subfolders, names in os.walk(ROOT / start):
            subfolders[:] = [name for name in subfolders if not GENERATED.fullmatch(name)]
            paths = (pathlib.Path(folder) / name for name in names)
            found.update({str(path.relative_to(ROOT)): path.read_text(errors="replace") for path in paths if path.is_file()})
    return dict(sorted(found.items()))


def code():
    return {name: text for name, text in files().items() if pathlib.Path(name).suffix in CODE and text}


def documents():
    return {name: text for name, text in files().items() if name.endswith(".md")}


def test_code_names_its_licence():
    line = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
    assert [name for name, text in code().items() if line not in "\n".join(text.splitlines()[:8])] == []


def test_one_idea_a_file():
    long = {name: len(text.splitlines()) for name, text in code().items() if len(text.splitlines()) > 600}
    assert long == {}, "more than 600 lines: split it"


def test_links_of_documents_lead_somewhere():
    broken = []
    for name, text in documents().items():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target) and not (ROOT / name).parent.joinpath(target).exists():
                broken.append(f"{name}: {target}")
    assert broken == []


def test_the_gpu_lowering_knows_no_layer():
    """It is driven by the chunk program it is given."""
    lowering = files("lib/Conversion", "lib/Dialect/Tile", "include/wyvern/Conversion", "include/wyvern/Dialect/Tile")
    named = [f"{name}:{number}" for name, text in lowering.items()
             for number, line in enumerate(text.splitlines(), 1) if LAYERS.search(line)]
    assert named == []


def test_sources_are_formatted():
    done = subprocess.run([ROOT / "scripts/format", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
