# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The page of wyvernc --report, as a browser shows it."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium")
    if not found:
        pytest.skip("needs chromium (scripts/test installs it)")
    return found


@pytest.fixture(scope="module", params=["forward", "training"])
def report(request, wyvernc, tmp_path_factory):
    """A page, and the manifest of the bundle beside it."""
    folder = tmp_path_factory.mktemp("report")
    flags = ["--training"] if request.param == "training" else ["--variants=separate,fused-warps"]
    command = [wyvernc, ROOT / "specs/gated_deltanet.yaml", *flags, f"--report={folder / 'report.html'}", "-o", folder / "layer"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "report.html", json.loads((folder / "layer/manifest.json").read_text())


def shown(chromium, page, tmp_path):
    """The document after its script has run, without tags, as a browser without network has it."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path}", "--proxy-server=127.0.0.1:1", f"file://{page}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    body = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)
    return body, re.sub(r"<[^>]+>", " ", body)


def test_a_browser_shows_the_report(report, chromium, tmp_path):
    page, manifest = report
    body, text = shown(chromium, page, tmp_path)
    assert "S &lt;- exp(g) S" in text and "S &lt;- S + k (beta v - beta S^T k)^T" in text
    # The first two phases, side by side, with what differs.
    assert "delta.recurrence" in text and "delta.chunk_scan" in text
    assert 'class="gone"' in body and 'class="new"' in body
    programs = [manifest] + ([manifest["backward"]] if manifest.get("backward") else [])
    kernels = [kernel for program in programs for variant in program["variants"] for kernel in variant["kernels"]]
    assert len(kernels) >= 3
    for kernel in kernels:
        assert kernel["symbol"] in text
        assert f"{kernel['registers']}" in text
    for variant in manifest["variants"][1:]:
        assert variant["name"] in text
    # Shared memory, and a point of the roofline for each kernel with products.
    assert body.count("shared memory of ") == len(kernels)
    assert body.count("FLOPs a byte</title>") >= len(manifest["variants"])


def test_the_page_needs_nothing_beside_it(report):
    text = report[0].read_text()
    assert re.findall(r'(?:src|href)="', text) == [] and "import(" not in text
    assert "</script" not in re.search(r'id="data">(.*?)</script>', text, re.S)[1]


def test_a_phase_has_no_report(wyvernc):
    done = subprocess.run([wyvernc, ROOT / "specs/gated_deltanet.yaml", "--emit=tile", "--report=x.html"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--report shows what ptxas says of the kernels, and --emit=tile ends before" in done.stderr
