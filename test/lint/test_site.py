# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The documentation builds as a site, whole and without a link that leads nowhere."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(build_dir, *command):
    env = dict(os.environ, PYTHONPATH=str(build_dir / "mkdocs"), NO_MKDOCS_2_WARNING="1")
    return subprocess.run([sys.executable, *map(str, command)], env=env, capture_output=True, text=True)


def put_together(build_dir, root, out):
    return run(build_dir, root / "scripts/site/pages.py", root, build_dir / "docs", out)


def build(build_dir, out):
    return run(build_dir, "-m", "mkdocs", "build", "--strict", "--config-file", out / "mkdocs.yml")


@pytest.fixture(scope="module", autouse=True)
def mkdocs(build_dir):
    if not (build_dir / "mkdocs").exists() or not (build_dir / "docs").exists():
        pytest.skip("needs what scripts/docs installs and builds")


@pytest.fixture(scope="module")
def site(build_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = put_together(build_dir, ROOT, out)
    assert done.returncode == 0, done.stderr
    done = build(build_dir, out)
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_every_document_has_a_page(site):
    for path in (ROOT / "docs").rglob("*.md"):
        page = site / str(path.relative_to(ROOT / "docs")).replace("README.md", "index.md").replace(".md", ".html")
        assert "<h1" in page.read_text(), page


def test_operations_passes_and_functions_are_there(site):
    assert "delta.erase_factor" in (site / "reference/dialects/DeltaDialect.html").read_text()
    assert "sched-fuse-forward" in (site / "reference/passes/SchedPasses.html").read_text()
    text = re.sub(r"<[^>]+>", "", (site / "reference/python/wyvern.torch.html").read_text())
    assert "FLA's" in text and "chunk_gated_delta_rule" in text


def test_the_site_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        assert re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*"', page.read_text()) == [], page


@pytest.fixture
def copy(tmp_path):
    """The repository, to be broken."""
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", "build*", "*.pyc", "shared"))
    return tmp_path / "copy"


def test_a_link_to_nothing_is_named(build_dir, copy, tmp_path):
    glossary = copy / "docs/glossary.md"
    glossary.write_text(glossary.read_text() + "\n[nowhere](no-such-page.md)\n")
    done = put_together(build_dir, copy, tmp_path / "out")
    line = glossary.read_text().count("\n")
    assert done.returncode == 1
    assert f"docs/glossary.md:{line}: error: expected a file of the repository, found 'no-such-page.md'" in done.stderr


def test_an_anchor_to_nothing_fails(build_dir, copy, tmp_path):
    glossary = copy / "docs/glossary.md"
    glossary.write_text(glossary.read_text() + "\n[nowhere](layers.md#no-such-section)\n")
    assert put_together(build_dir, copy, tmp_path / "out").returncode == 0
    done = build(build_dir, tmp_path / "out")
    assert done.returncode != 0 and "no-such-section" in done.stderr
