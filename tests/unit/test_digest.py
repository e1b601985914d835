import os

import pytest

from mindgap.digest import RUNTIME, _read, code_digest


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "pkg"
    (folder / "sub").mkdir(parents=True)
    (folder / "runtime").mkdir()
    (folder / "config").mkdir()
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "from pkg.runtime.log import level\nimport pkg.config\nfrom pkg.sub.b import f\n",
        "pkg/sub/__init__.py": "",
        "pkg/sub/b.py": '"""Doc."""\ndef f():\n    """Say it."""\n    import pkg.lazy\n    return 1\n',
        "pkg/lazy.py": "x = 1\n",
        "pkg/other.py": "y = 1\n",
        "pkg/runtime/__init__.py": "",
        "pkg/runtime/log.py": "level = 1\n",
        "pkg/config/__init__.py": "steps = 300\n",
        "script.py": "from pkg import a\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(folder):
    _read.cache_clear()
    code_digest.cache_clear()
    return code_digest(folder / "script.py", folder / "pkg")


def test_edits_in_the_closure_change_the_digest(package):
    before = digest(package)
    for name in ("pkg/sub/b.py", "pkg/lazy.py", "pkg/sub/__init__.py", "script.py"):
        old = (package / name).read_text()
        (package / name).write_text(old + "\nz = 2\n")
        assert digest(package) != before, name
        (package / name).write_text(old)
    assert digest(package) == before


def test_other_modules_times_and_words_do_not(package):
    before = digest(package)
    (package / "pkg/other.py").write_text("y = 2\n")
    (package / "pkg/runtime/log.py").write_text("level = 2\n")
    (package / "pkg/config/__init__.py").write_text("steps = 400\n")
    (package / "pkg/sub/b.py").write_text(
        '"""Better doc."""\n# why\ndef f():\n    """Say it well."""\n'
        "    import pkg.lazy\n    return 1\n"
    )
    os.utime(package / "pkg/a.py", (1, 1))
    assert digest(package) == before


def test_science_of_one_chapter_is_not_in_the_digest_of_another(root):
    """An edit in the measures must not embed anything again."""
    files = closure(root, "embed_pairs")
    assert "embed/clip.py" in files
    assert not any(name.startswith(("gap/", "report/")) for name in files)
    assert not any(name.startswith("embed/clip") for name in closure(root, "measure_gap"))


def closure(root, script):
    package = root / "src/mindgap"
    todo, seen = [root / f"scripts/{script}.py"], set()
    while todo:
        file = todo.pop()
        name = file.relative_to(package).as_posix() if file.is_relative_to(package) else ""
        if file not in seen and not name.startswith(RUNTIME):
            seen.add(file)
            todo.extend(_read(file, package)[1])
    return {f.relative_to(package).as_posix() for f in seen if f.is_relative_to(package)}
