"""Rules of the code base that a reader relies on, enforced over the syntax trees."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPO
from pytest_socket import SocketConnectBlockedError

# A package may import itself and what stands here.
MAY_IMPORT = {
    "warehouse": set(),
    "scraping": {"warehouse"},
    "features": {"warehouse"},
    "models": {"warehouse", "features"},
    "reports": {"warehouse", "scraping", "features", "models"},
}
# Commands that look up the layers, by name and when they run.
COMMANDS_THAT_LOOK_UP = {
    "warehouse/__main__.py": {"features"},
    "models/train.py": {"reports"},
    "models/score.py": {"reports"},
}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "compile", "joblib.load", "os.system", "yaml.load"}
UNSAFE_KEYWORDS = {"verify": False, "shell": True, "allow_pickle": True}
LONGEST = 60

MODULES = sorted(path for name in MAY_IMPORT for path in (REPO / name).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def relative(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere, also inside functions and by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield node.module or "", node.lineno
        elif isinstance(node, ast.Call) and called(node) in {
            "import_module", "__import__", "find_spec", "run_module",
        }:  # fmt: skip
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, node.lineno


def called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def faults(found: Iterator[str]) -> None:
    assert list(found) == []


def test_there_is_something_to_look_at() -> None:
    packages = {path.relative_to(REPO).parts[0] for path in MODULES}
    assert {"warehouse", "features"} <= packages
    assert len(MODULES) > 15


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down_the_layers(path: Path) -> None:
    package = path.relative_to(REPO).parts[0]
    allowed = MAY_IMPORT[package] | COMMANDS_THAT_LOOK_UP.get(relative(path), set()) | {package}
    faults(
        f"line {line}: {package} imports {name}"
        for name, line in imported(TREES[path])
        if name.split(".")[0] in set(MAY_IMPORT) - allowed
    )


def is_constant(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def unsafe_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        if function in UNSAFE_CALLS:
            yield f"line {node.lineno}: {function}("
        for keyword in node.keywords:
            if is_constant(keyword.value, UNSAFE_KEYWORDS.get(keyword.arg or "", ...)):
                yield f"line {node.lineno}: {ast.unparse(keyword)}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_unsafe(path: Path) -> None:
    faults(unsafe_calls(TREES[path]))
    faults(
        f"line {line}: imports {name}"
        for name, line in imported(TREES[path])
        if name.split(".")[0] in UNSAFE_MODULES
    )


Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt]) -> Iterator[Documented]:
    """Public functions, classes and their public methods; not what stands inside functions."""
    for node in body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_what_is_public_is_documented(path: Path) -> None:
    assert ast.get_docstring(TREES[path]), "the module has no docstring"
    faults(
        f"line {node.lineno}: {node.name}"
        for node in public(TREES[path].body)
        if not ast.get_docstring(node)
    )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_functions_are_short(path: Path) -> None:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    faults(
        f"line {node.lineno}: {node.name} has {length} lines"
        for node in ast.walk(TREES[path])
        if isinstance(node, functions)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST
    )


def test_tests_are_flat() -> None:
    tests = REPO / "tests"
    assert not list(tests.rglob("__init__.py"))
    assert {p.parent for p in tests.rglob("test_*.py")} == {tests}
    folders = {p.name for p in tests.iterdir() if p.is_dir()}
    assert not folders & set(MAY_IMPORT), "a folder of that name would hide the package"
    assert folders - {"__pycache__"} == {"fixtures"}


def test_packages_have_an_init_and_are_listed(repo: Path) -> None:
    text = (repo / "pyproject.toml").read_text(encoding="utf-8")
    for name in MAY_IMPORT:
        assert (repo / name / "__init__.py").is_file(), name
        assert f'"{name}"' in text


def test_tests_reach_this_machine_only() -> None:
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


# The rules above must be able to fail.
def names(code: str) -> list[str]:
    return [name for name, _ in imported(ast.parse(code))]


def test_imports_are_found_wherever_they_stand() -> None:
    assert names("def f():\n    from models.train import main") == ["models.train"]
    assert names("if x:\n    import reports.app as app, os") == ["reports.app", "os"]
    assert names("importlib.import_module('features.dataset')") == ["features.dataset"]
    assert names("class A:\n    def f(self):\n        __import__('models')") == ["models"]


def test_public_is_told_from_private() -> None:
    code = "def a(): pass\ndef _b(): pass\nclass C:\n    def d(self):\n        def e(): pass\n"
    assert [node.name for node in public(ast.parse(code).body)] == ["a", "C", "d"]


def test_unsafe_calls_are_found() -> None:
    code = "get(u, verify=False)\nrun(c, shell=True)\nx = eval('1')\nget(u, verify=True)\nm.eval()"
    assert list(unsafe_calls(ast.parse(code))) == [
        "line 1: verify=False",
        "line 2: shell=True",
        "line 3: eval(",
    ]
