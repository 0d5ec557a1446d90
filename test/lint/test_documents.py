# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Commands that documents show work as they are written there."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/quickstart.md"]


def commands():
    """Indented lines of the documents that run a built tool, without their comments."""
    for name in DOCUMENTS:
        for line in (ROOT / name).read_text().splitlines():
            if re.match(r" {4}build/bin/", line):
                yield pytest.param(line.split("#")[0].strip(), id=f"{name}-{line.strip()[:60]}")


@pytest.fixture
def checkout(tmp_path, build_dir):
    """A folder that looks like the repository, where commands may write."""
    (tmp_path / "build").symlink_to(build_dir.resolve())
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    layer = re.search(r"cat > my_layer.yaml <<'EOF'\n(.*?) *EOF", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "my_layer.yaml").write_text("".join(line[4:] for line in layer[1].splitlines(True)))
    return tmp_path


@pytest.mark.parametrize("command", commands())
def test_shown_command_works(command, checkout):
    done = subprocess.run(shlex.split(command), cwd=checkout, capture_output=True, text=True, env=dict(os.environ), timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr or len(list(checkout.iterdir())) > 3, "the command produced nothing"


def run_python_of(document):
    """Runs a document's blocks of Python as one program, and returns what it prints."""
    program = "".join(re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.S))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_of_the_quick_start_works():
    assert 0 < float(run_python_of("docs/quickstart.md")) < 5e-3


def test_python_of_the_package_page_works():
    assert run_python_of("docs/python.md").endswith(" (1, 100, 2, 16)\n")


def test_python_of_the_jax_page_works():
    pytest.importorskip("jax")
    printed = run_python_of("docs/jax.md").splitlines()
    assert printed[0].endswith("output_final_state=False)> [B, T, 2, 16]")
    assert printed[1:] == ["(4, 100, 2, 16) (4, 2, 16, 16) (4, 100, 2)", "True"]


def test_python_of_the_tutorial_works():
    """Its recurrence is the paper's, and its model has learned."""
    pytest.importorskip("torch")
    printed = dict(re.findall(r"^([a-z ]+): ([\d.e+-]+)$", run_python_of("docs/tutorial.md"), re.M))
    assert float(printed["error of o"]) < 1e-5
    assert float(printed["error of the gradients"]) < 1e-4
    assert float(printed["recalled"]) > 0.6  # a guess is right one time in eight


def test_python_of_the_integrations_page_works():
    """A layer of the model is served, forward and backward."""
    pytest.importorskip("transformers")
    assert run_python_of("docs/integrations.md") == "enabled\nchunk_gated_delta_rule: 2 served\n"
