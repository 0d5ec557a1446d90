# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every code block of the documents works as it is written there, or says why no test
runs it; document_blocks.py has the words. What is not run is looked at as far as that
goes: programs, options and imports exist."""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import document_blocks
import document_commands
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")]
)
BLOCKS = {name: document_blocks.read(name, (ROOT / name).read_text()) for name in DOCUMENTS}

# What a block has to hold for its reason to be one.
EVIDENCE = {
    "gpu": r"(?i)cuda|benchmarks\.|gpu_\w+\.py|ncu |compute-sanitizer|examples\.|# where the GPU is|# a GPU|sglang",
    "network": r"git clone|from_pretrained|pip install",
    "ci": r"scripts/test|cmake|ninja",
    "ranks": r"torchrun|ContextParallel|context\.local|mesh",
}
PACKAGES = ("torch", "jax", "transformers", "fla", "tvm_ffi", "matplotlib")  # not everywhere


def of_kind(kind, run=True):
    """The documents with such blocks, which run or do not."""
    return [name for name in DOCUMENTS if blocks(name, kind, run)]


def blocks(name, kind, run=True):
    return [block for block in BLOCKS[name] if block.kind == kind and (not block.reason) == run]


def each(kind):
    return [pytest.param(block, id=f"{name}-{block.line}") for name in DOCUMENTS for block in blocks(name, kind)]


def program(found):
    """The blocks as one text, each at the lines that it has in its document."""
    text = ""
    for block in found:
        text += "\n" * (block.line - 1 - text.count("\n")) + block.code
    return text


def checkout(folder, build_dir):
    """Makes a folder look like the repository, where commands may write; returns the
    environment of a shell with the tools in its PATH."""
    for entry in ("specs", "examples", "benchmarks", "include", "test", "scripts"):
        (folder / entry).symlink_to(ROOT / entry)
    (folder / "build").symlink_to(build_dir.resolve())
    (folder / "tools").mkdir()
    for python in ("python", "python3"):
        (folder / "tools" / python).symlink_to(sys.executable)
    path = f"{folder}/tools:{build_dir.resolve()}/bin:{os.environ['PATH']}"
    return dict(os.environ, PATH=path, VIRTUAL_ENV=sys.prefix, OMP_NUM_THREADS="1")  # tensors are tiny


@pytest.fixture(scope="session")
def run_commands(build_dir, tmp_path_factory):
    """A function: a document's commands, run once: (their folder, its environment, what
    they have made there). Without commands the folder is as good for its Python."""
    done = {}

    def run(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(re.sub(r"\W", "_", name))
            env, before = checkout(folder, build_dir), set(folder.iterdir())
            command = ["bash", "-euo", "pipefail", "-c", program(blocks(name, "console"))]
            ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
            assert ended.returncode == 0, f"{name}:\n{ended.stderr}"
            done[name] = folder, env, ended.stdout or set(folder.iterdir()) - before
        return done[name]

    return run


@pytest.fixture(scope="session")
def run_python(run_commands):
    """A function: the output of a document's Python, which runs once, behind its commands."""
    done = {}

    def run(name):
        if name not in done:
            text = program(blocks(name, "python"))
            imported = {word.split(".")[0] for word in imports(text)} & set(PACKAGES)
            if missing := [package for package in sorted(imported) if importlib.util.find_spec(package) is None]:
                pytest.skip(f"needs {', '.join(missing)}")
            folder, env, _ = run_commands(name)
            (folder / "program.py").write_text(text)
            done[name] = subprocess.run([sys.executable, "program.py"], cwd=folder, env=env, capture_output=True, text=True)
        assert done[name].returncode == 0, f"{name}:\n{done[name].stderr}"
        return done[name].stdout

    return run


def imports(text):
    """The modules that a program imports, and the names that it takes of them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("name", of_kind("console"))
def test_commands_work(name, run_commands):
    _, _, made = run_commands(name)
    assert made, f"{name}: the commands made nothing"


@pytest.mark.parametrize("name", of_kind("python"))
def test_python_works(name, run_python):
    run_python(name)


def test_python_prints_what_the_pages_say(run_python):
    assert 0 < float(run_python("docs/quickstart.md")) < 5e-3
    assert run_python("docs/python.md").endswith(" (1, 100, 2, 16)\n")


def test_python_of_the_jax_page_prints_what_it_says(run_python):
    printed = run_python("docs/jax.md").splitlines()
    assert printed[0].endswith("output_final_state=False)> [B, T, 2, 16]")
    assert printed[1:] == ["(4, 100, 2, 16) (4, 2, 16, 16) (4, 100, 2)", "True"]


def test_the_tutorial_ends_with_a_model_that_has_learned(run_python):
    """And its recurrence is the paper's."""
    printed = dict(re.findall(r"^([a-z ]+): ([\d.e+-]+)$", run_python("docs/tutorial.md"), re.M))
    assert float(printed["error of o"]) < 1e-5
    assert float(printed["error of the gradients"]) < 1e-4
    assert float(printed["recalled"]) > 0.6  # a guess is right one time in eight


def test_the_model_of_the_integrations_page_is_served(run_python):
    """A layer of it forward and backward."""
    assert run_python("docs/integrations.md").endswith("enabled\nchunk_gated_delta_rule: 2 served\n")


CHECKS = {
    "yaml": ("layer.yaml", ["{build}/bin/wyvernc", "--print-spec"]),
    "mlir": ("layer.mlir", ["{build}/bin/wyvern-opt"]),
    "c": ("block.c", ["cc", "-std=c11", "-fsyntax-only", "-Wall", "-Werror", "-I", "{root}/include"]),
}


@pytest.mark.parametrize("block", [block for kind in CHECKS for block in each(kind)])
def test_spec_ir_or_c_is_valid(block, build_dir, tmp_path):
    name, command = CHECKS[block.kind]
    (tmp_path / name).write_text(block.code)
    command = [word.format(build=build_dir.resolve(), root=ROOT) for word in command]
    done = subprocess.run([*command, name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What is not run.

UNRUN = [(name, block) for name in DOCUMENTS for block in BLOCKS[name] if block.reason]
SPAN = re.compile(rf"`((?:(?:{'|'.join(document_commands.TOOLS)}|torchrun|python3?) |(?:build/bin|scripts|test)/)[^`\n]+)`")


def unrun_commands():
    """(document, line, command) of each that no test runs, those in the text among them."""
    for name, block in UNRUN:
        if block.kind == "console":
            yield from ((name, block.line + i, line) for i, line in enumerate(block.code.splitlines()) if line)
    for name in DOCUMENTS:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            yield from ((name, number, span) for span in SPAN.findall(line))


def named(block):
    """What a test that runs a block has to speak of: its programs, or what it calls."""
    if block.kind != "console":
        return re.findall(r"\.(\w+)\(", block.code)
    commands = [found for line in block.code.splitlines() for found in document_commands.words(line)]
    return [re.split(r"[./]", document_commands.program_of(command)[0])[-1] for command in commands]


@pytest.mark.parametrize("name, block", [pytest.param(*entry, id=f"{entry[0]}-{entry[1].line}") for entry in UNRUN])
def test_reason_not_to_run_is_one(name, block):
    """What the reason speaks of is in the block; a test that runs it is there and names it."""
    if block.reason.startswith("tested by"):
        test = ROOT / block.reason.removeprefix("tested by ")
        assert test.is_file(), f"{name}:{block.line}: no {block.reason.removeprefix('tested by ')}"
        missing = [word for word in named(block) if not re.search(rf"\b{word}\b", test.read_text())]
        assert missing == [], f"{name}:{block.line}: {test.name} does not speak of {', '.join(missing)}"
    else:
        word = next(word for word in EVIDENCE if block.reason.startswith(word))
        assert re.search(EVIDENCE[word], block.code), f"{name}:{block.line}: nothing in the block needs {word}; run it"


def test_programs_that_are_not_run_take_their_options(build_dir):
    commands = [
        (name, line, *document_commands.program_of(found))
        for name, line, text in unrun_commands()
        for found in document_commands.words(text)
    ]
    missing = [f"{name}:{line}: {program}" for name, line, program, _ in commands if not document_commands.exists(program)]
    assert missing == []
    ours = [entry for entry in commands if document_commands.is_ours(entry[2])]
    assert len(ours) > 30
    needed = {program for _, _, program, arguments in ours if document_commands.options(arguments)}
    helps = document_commands.Helps(build_dir, needed | {"wyvernc"})
    faults = [f"{name}:{line}: {program} has no {', '.join(unknown)}" for name, line, program, arguments in ours
              if program in needed and (unknown := helps.unknown(program, arguments))]
    assert faults == []


@pytest.mark.parametrize("name", of_kind("python", run=False))
def test_python_that_is_not_run_imports_what_there_is(name):
    for block in blocks(name, "python", run=False):
        for path in imports(block.code):
            package = path.split(".")[0]
            if package == "wyvern" or importlib.util.find_spec(package):
                module, _, item = path.rpartition(".")
                assert not module or hasattr(importlib.import_module(module), item) or importlib.import_module(path), path


# The pages that the compiler's own sources make.


def words(text):
    """Text without its layout."""
    return " ".join(text.split())


@pytest.fixture(scope="session")
def pages(build_dir):
    if not (build_dir / "docs").exists():
        pytest.skip("needs what mlir-doc builds")
    return {path.stem: path.read_text() for path in sorted((build_dir / "docs").glob("*/*.md"))}


def opt(code, build_dir):
    return subprocess.run([build_dir / "bin/wyvern-opt"], input=code, capture_output=True, text=True)


def test_examples_of_dialect_pages_are_tested(pages, build_dir):
    """They are valid as they are, or stand in the dialects' examples.mlir, which lit runs."""
    tested = words("\n".join(path.read_text() for path in ROOT.glob("test/Dialect/*/examples.mlir")))
    found = [(name, block) for name in pages if name.endswith("Dialect") for block in document_blocks.read(name, pages[name], "text")]
    shown = [(name, block) for name, block in found if block.kind != "text"]
    assert len(shown) > 40
    other = [(name, block) for name, block in shown if words(block.code) not in tested]
    assert [f"{name}:{block.line}" for name, block in other if opt(block.code, build_dir).returncode != 0] == []


def test_ir_of_pass_pages_is_valid_or_an_excerpt(pages, build_dir):
    """An excerpt says so, by dots in it or by words in front (types are "left out"), or all that
    it lacks are its operands; and it spells no operation or attribute that no lit test has."""
    tests = "\n".join(path.read_text() for path in ROOT.glob("test/**/*.mlir"))
    known, faults, whole = set(re.findall(r"(?:delta|sched|tile)\.\w+", tests)), [], 0
    for name in pages:
        if name.endswith("Dialect"):
            continue
        lines = pages[name].splitlines()
        for block in document_blocks.read(name, pages[name], "text"):
            if block.kind == "text":
                continue
            done = opt(block.code, build_dir)
            whole += done.returncode == 0
            before = "\n".join(lines[: block.line]).rpartition("\n### ")[2]
            excerpt = "..." in block.code or "left out" in before or "use of undeclared SSA value" in done.stderr
            if done.returncode != 0 and not excerpt:
                faults.append(f"{name}:{block.line}: expected IR that is valid, or an excerpt that says so: {done.stderr}")
            if unknown := set(re.findall(r"(?:delta|sched|tile)\.\w+", block.code)) - known:
                faults.append(f"{name}:{block.line}: no test has {', '.join(sorted(unknown))}")
    assert whole > 0 and faults == []


# The reader of documents itself.


@pytest.mark.parametrize(
    "text, message",
    [
        ("a\n\n```\nx\n```\n", r"a.md:4: expected a block of console, .*, found 'none of them'"),
        ("```bash\nx\n```\n", r"a.md:2: expected a block of .*, found 'bash'"),
        ("```python\nx\n", r"a.md:1: expected '```' behind the block, found the end of the document"),
        ("<!-- console: later -->\n\n    x\n", r"a.md:1: expected a reason not to run code that starts with .*, found 'later'"),
        ("<!-- text: gpu -->\n\n    x\n", r"a.md:1: expected a reason .*, found 'gpu'"),
        ("<!-- yaml -->\n\nwords\n", r"a.md:1: expected a block behind the comment, found 'words'"),
        ("<!-- yaml -->\n```python\nx\n```\n", r"a.md:1: expected a comment on 'python', found 'yaml'"),
    ],
)
def test_what_says_too_little_is_a_fault(text, message):
    with pytest.raises(document_blocks.Fault, match=message):
        document_blocks.read("a.md", text)


def test_a_block_is_run_unless_it_says_why_not():
    text = "a\n\n    one\n\n      two\n\nb\n\n<!-- python\nx = 1\n-->\n```python\ny\n```\n<!-- console: gpu -->\n\n    three\n"
    found = [(block.line, block.kind, block.reason, block.code) for block in document_blocks.read("a.md", text)]
    assert found == [
        (3, "console", "", "one\n\n  two\n"),
        (10, "python", "", "x = 1\n"),
        (13, "python", "", "y\n"),
        (17, "console", "gpu", "three\n"),
    ]


def test_options_that_a_program_does_not_take_are_named(build_dir):
    helps = document_commands.Helps(build_dir, {"wyvernc"})
    (command,) = document_commands.words("A=1 build/bin/wyvernc layer.yaml --emit=delta --save -o - --no-such=1  # words")
    program, arguments = document_commands.program_of(command)
    assert helps.unknown(program, arguments) == ["--no-such"]
    (command,) = document_commands.words("torchrun --nproc-per-node=2 -m benchmarks.ranks --json x")
    assert document_commands.program_of(command) == ("benchmarks.ranks", ["--json", "x"])
