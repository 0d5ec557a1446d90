# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Commands that a document shows and no test runs: that their programs are there and
take the options, by what each says to --help."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("wyvernc", "wyvern-opt", "wyvern-reduce", "wyvern-translate", "wyvern-lsp-server")
FOREIGN = ("git", "cd", "cmake", "ninja", "cc", "pip", "http.server", "sglang.launch_server", "...")  # taken as they are
WRAPPERS = ("torchrun", "ncu", "compute-sanitizer")  # another program, with its options, follows
PASSED_ON = {"benchmarks.bundles": "wyvernc"}  # where options go that a program does not know

# Runs each program as `python -m` or `python FILE` would with --help, all in one process:
# most import torch. Prints {program: what it said}.
ASK = """
import contextlib, io, json, runpy, sys
said = {}
for program in json.loads(sys.argv[1]):
    sys.argv, text = [program, "--help"], io.StringIO()
    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    sys.path.insert(0, program.rpartition("/")[0] or ".")
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        run(program, run_name="__main__")
    del sys.path[0]
    said[program] = text.getvalue()
print(json.dumps(said))
"""


def words(line):
    """The words of each command of a line, without variables that are set for it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    found = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set("&|;"):
            while found and re.match(r"\w+=", found[0]):
                del found[0]
            if found:
                yield found
            found = []
        else:
            found.append(word)


def program_of(command):
    """(the program, its arguments) of a command's words; the program is a path in the
    repository, a Python module, or the name of a tool."""
    if command[0] in WRAPPERS:
        start = next((i for i, word in enumerate(command) if word in ("python3", "python", "-m")), None)
        if start is None:
            return command[0], []
        command = command[start:] if command[start] != "-m" else ["python", *command[start:]]
    if command[0] in ("python3", "python") and len(command) > 1:
        if command[1] == "-m":
            return command[2], command[3:]
        return command[1], command[2:]
    return command[0].removeprefix("build/bin/"), command[1:]


def is_ours(program):
    """Whether it is a module of the repository, a Python file, or a tool, with a --help."""
    if program in TOOLS or program.endswith(".py"):
        return True
    return re.fullmatch(r"\w+(\.\w+)+", program) and source_of(program) is not None


def source_of(module):
    place = module.replace(".", "/")
    places = [ROOT / top / f"{place}{end}" for top in ("", "python") for end in (".py", "/__main__.py")]
    return next((path for path in places if path.exists()), None)


def exists(program):
    """Whether a program, a module or a path of the repository is there. What runs from
    the current folder is what commands before have made."""
    known = program in TOOLS + FOREIGN + WRAPPERS or program.startswith("./")
    return known or (ROOT / program).exists() or source_of(program) is not None


def options(arguments):
    return [word.split("=")[0] for word in arguments if re.match(r"-\w|--\w", word)]


class Helps:
    """What programs say to --help, asked once."""

    def __init__(self, build_dir, programs):
        self.said = {}
        for tool in set(programs) & set(TOOLS):
            done = subprocess.run([build_dir / "bin" / tool, "--help-hidden"], capture_output=True, text=True)
            self.said[tool] = done.stdout
        scripts = sorted(set(programs) - set(TOOLS))
        command = [sys.executable, "-c", ASK, json.dumps(scripts)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        self.said |= json.loads(done.stdout.splitlines()[-1])

    def unknown(self, program, arguments):
        """The options of `arguments` that the program does not list."""
        said = self.said[program] + self.said.get(PASSED_ON.get(program, ""), "")
        return [word for word in options(arguments) if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said)]
