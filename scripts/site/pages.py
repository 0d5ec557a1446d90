# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Puts the pages of the documentation together, for MkDocs.

    pages.py <repository> <generated docs> <out>

<out>/pages gets the documents, what mlir-tblgen has written of operations and passes, a
page a Python module, and a page for each file of the repository that a document links to,
so that the site is whole without a repository beside it. <out>/mkdocs.yml says where they
are and in which order. A link to what is not there is an error that names the line.
"""

import ast
import os
import pathlib
import re
import sys

import yaml

START = ["index.md", "quickstart.md", "tutorial.md", "layer-specs.md", "limits.md", "glossary.md", "CONTRIBUTING.md", "CHANGELOG.md"]
USE = ["python.md", "torch.md", "training.md", "context-parallel.md", "serving.md", "jax.md", "tvm-ffi.md", "integrations.md", "abi.md", "numerics.md"]
SUBJECTS = ["index", "forward", "segments", "channel-decay", "training", "wide-heads", "levels-and-compute", "serving", "across-gpus", "host", "correctness"]
PERFORMANCE = [f"performance/{name}.md" for name in SUBJECTS]
COMPILER = ["layers.md", "spec.md", "sched.md", "layouts.md"]
MODULES = ["wyvern", "wyvern.torch", "wyvern.torch.layers", "wyvern.jax", "wyvern.plot", "wyvern.integrations.fla", "wyvern.integrations.flashinfer", "wyvern.integrations.transformers"]
LANGUAGES = {".yaml": "yaml", ".py": "python", ".h": "c", ".c": "c", ".json": "json"}
# What stands in code is no link.
LINK = re.compile(r"(?P<code>```.*?```|`[^`\n]*`)|(?P<text>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)", re.S)


class Site:
    def __init__(self, root, out):
        self.root, self.pages = root, out / "pages"
        self.page_of = {}  # of a file of the repository
        self.queue = []

    def add(self, source, page=None):
        """Gives the repository's file a page, once, and returns its path in the site."""
        if source not in self.page_of:
            self.page_of[source] = page or self.name(source)
            self.queue.append(source)
        return self.page_of[source]

    def name(self, source):
        place = source.relative_to(self.root)
        if place.parts[0] == "docs":
            return str(place.relative_to("docs")).replace("README.md", "index.md")
        if source.is_dir():
            return f"files/{place}/index.md"
        return f"files/{place}" if source.suffix in (".md", ".svg", ".png") else f"files/{place}.md"

    def write(self):
        while self.queue:
            source = self.queue.pop()
            page = self.pages / self.page_of[source]
            page.parent.mkdir(parents=True, exist_ok=True)
            if source.suffix in (".svg", ".png"):
                page.write_bytes(source.read_bytes())
            elif source.suffix == ".md":
                page.write_text(self.follow(source, source.read_text()))
            elif source.is_dir():
                page.write_text(self.listing(source))
            else:
                page.write_text(self.listing_of_file(source))

    def link(self, source, target):
        """The path from the page of `source` to that of the file `target`."""
        here = pathlib.PurePosixPath(self.page_of[source]).parent
        return os.path.relpath(self.add(target), here)

    def follow(self, source, text):
        """The text of a document with links to pages in the place of links to files."""

        def replace(match):
            target = match["target"]
            if match["code"] or re.match(r"[a-z]+:", target):
                return match[0]
            path = (source.parent / target).resolve()
            if not path.exists() or not path.is_relative_to(self.root):
                line = text.count("\n", 0, match.start()) + 1
                sys.exit(f"{source.relative_to(self.root)}:{line}: error: expected a file of the repository, found '{target}'")
            return f"{match['text']}{self.link(source, path)}{match['anchor'] or ''})"

        return LINK.sub(replace, text)

    def listing(self, folder):
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc")
        links = [f"* [{path.name}]({self.link(folder, path)})" for path in files]
        return f"# {folder.relative_to(self.root)}\n\n" + "\n".join(links) + "\n"

    def listing_of_file(self, source):
        language = LANGUAGES.get(source.suffix, "text")
        return f"# {source.relative_to(self.root)}\n\n```{language}\n{source.read_text()}\n```\n"


def add_reference(generated, pages):
    """Copies the pages of dialects and passes, with a title each; returns their paths."""
    found = {}
    for kind in ("Dialects", "Passes"):
        found[kind] = []
        for path in sorted((generated / kind).glob("*.md")):
            page = f"reference/{kind.lower()}/{path.name}"
            (pages / page).parent.mkdir(parents=True, exist_ok=True)
            text = re.sub(r"<!--.*?-->", "", path.read_text()).lstrip()
            title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.stem)
            (pages / page).write_text(text if text.startswith("# ") else f"# {title}\n\n{text}")
            found[kind].append(page)
    return found


def public_names(root, module):
    """The names that a module says are public, and where each is defined if it says that."""
    path = root / "python" / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(source.read_text()).body
    known = {}
    for node in body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("__all__", "_HOMES"):
            known[node.targets[0].id] = ast.literal_eval(node.value)
    defined = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")]
    homes = known.get("_HOMES", {})
    names = [name for name in known.get("__all__", defined) if f"{module}.{name}" not in MODULES]
    return [f"{module}{homes[name]}.{name}" if name in homes else f"{module}.{name}" for name in names]


def add_modules(root, pages):
    paths = []
    for module in MODULES:
        page = f"reference/python/{module}.md"
        (pages / page).parent.mkdir(parents=True, exist_ok=True)
        # What the extension modules hold is written in C++; docs/python.md has it.
        names = [name for name in public_names(root, module) if "._rt." not in name]
        (pages / page).write_text(f"# {module}\n\n" + "".join(f"::: {name}\n\n" for name in names))
        paths.append(page)
    return paths


def main():
    root, generated, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    site = Site(root, out)
    site.add(root / "README.md", "index.md")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"):
        site.add(root / name, f"{name.removesuffix('.md')}.md")
    documents = sorted((root / "docs").rglob("*.md"))
    for document in documents:
        site.add(document)
    site.write()
    reference = add_reference(generated, site.pages)
    reasons = [site.page_of[path] for path in documents if path.parent.name == "rationale"]
    ordered = {*START, *USE, *PERFORMANCE, *COMPILER, *reasons}
    missing = {site.page_of[path] for path in documents} - ordered
    if missing:
        sys.exit(f"scripts/site/pages.py: error: expected each page of docs/ in a list, found none with {', '.join(sorted(missing))}")
    nav = [
        {"Start": START},
        {"Use": [*USE, {"Performance": PERFORMANCE}]},
        {"The compiler": [*COMPILER, {"Reasons": reasons}]},
        {"Reference": [{"Python": add_modules(root, site.pages)}, *({kind: pages} for kind, pages in reference.items())]},
    ]
    listed = {page for page in site.page_of.values()} - ordered
    config = {
        "INHERIT": str(root / "scripts/site/mkdocs.yml"),
        "docs_dir": str(site.pages),
        "site_dir": str(out / "html"),
        "plugins": {"mkdocstrings": {"handlers": {"python": {"paths": [str(root / "python")]}}}},
        "nav": nav,
        "not_in_nav": "\n".join(f"/{page}" for page in sorted(listed) if page.endswith(".md")),
    }
    (out / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False))


if __name__ == "__main__":
    main()
