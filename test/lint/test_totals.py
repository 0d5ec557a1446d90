# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The totals of scripts/test: a failed or crashed run must never look good."""

import subprocess
import sys

REPORT = """<testsuites><testsuite>
  <testcase name="a"/>
  <testcase name="b"><skipped message="Missing required feature(s): cuda"/></testcase>
  <testcase name="c"><skipped message="Unsupported configuration"/></testcase>
  {extra}
</testsuite></testsuites>"""


def totals(root, *paths):
    command = [sys.executable, root / "scripts" / "totals.py", *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


def test_adds_up_and_counts_gpu_tests(root, tmp_path):
    report = tmp_path / "a.xml"
    report.write_text(REPORT.format(extra=""))
    status, lines = totals(root, report, report)
    assert status == 0
    assert lines[0].endswith(": 2")
    assert lines[-1] == "2 passed, 0 failed, 4 skipped"


def test_a_failure_or_an_error_fails(root, tmp_path):
    report = tmp_path / "a.xml"
    report.write_text(REPORT.format(extra='<testcase name="d"><failure/></testcase><testcase name="e"><error/></testcase>'))
    status, lines = totals(root, report)
    assert status == 1
    assert lines[-1] == "1 passed, 2 failed, 2 skipped"


def test_a_missing_report_is_a_failure(root, tmp_path):
    status, lines = totals(root, tmp_path / "none.xml")
    assert status == 1
    assert lines[-1] == "0 passed, 1 failed, 0 skipped"
