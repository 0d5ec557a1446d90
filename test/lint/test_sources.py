# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules for files: licence line, size, links that lead somewhere, walls that hold."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".cpp", ".h", ".c", ".td", ".py", ".sh"}
# Names of layers and models. Only specs, documents and tests may know them.
LAYERS = re.compile(r"delta_?net|gated_?delta|delta_?product|rwkv|mamba|comba\b|kimi|\bgla\b|\bgdn\b|\bkda\b|qwen", re.I)


def files(*patterns):
    """Files of the repository, as git knows them, by name."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: (ROOT / name).read_text() for name in listed if (ROOT / name).is_file()}


def code():
    return {name: text for name, text in files().items() if pathlib.Path(name).suffix in CODE and text}


def test_code_names_its_licence():
    line = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
    assert [name for name, text in code().items() if line not in "\n".join(text.splitlines()[:8])] == []


def test_one_idea_a_file():
    long = {name: len(text.splitlines()) for name, text in code().items() if len(text.splitlines()) > 600}
    assert long == {}, "more than 600 lines: split it"


def test_links_of_documents_lead_somewhere():
    broken = []
    for name, text in files("*.md").items():
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
