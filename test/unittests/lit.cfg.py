# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit configuration of the unit tests: every program whose name ends in Tests."""

import os

import lit.formats

config.name = "Wyvern-Unit"
config.suffixes = []
config.test_format = lit.formats.GoogleTest("", "Tests")
config.test_source_root = os.path.join(config.wyvern_obj_root, "test", "unittests")
config.test_exec_root = config.test_source_root
