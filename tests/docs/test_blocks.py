"""Run every command block of README and pages in a clone, page by page, as a reader would.

A block that cannot run here has the line `<!-- not run: why -->` above it in its source. What a page
shows after `<!-- output -->` must be printed.
"""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), Path("config/README.md")]
PAGES += sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "docs").rglob("*.md")
    if not path.is_relative_to(ROOT / "docs/snapshot")
)
BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<why>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>bash|python)\n"
    r"(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
#: Lines that the commands of a page print, among others.
OUTPUT = re.compile(r"^<!-- output -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Pages whose Python blocks are parts of files and not programs.
PARTS = {Path("docs/how-to/other-workflow.md"), Path("docs/how-to/extend.md")}


def blocks(page):
    """(language, code) of the blocks of a page that run."""
    for found in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        skipped = found["why"] or (found["language"] == "python" and page in PARTS)
        if not skipped:
            yield found["language"], textwrap.dedent(found["code"])


def script(page):
    """One shell script for a page; its Python blocks share one session, as a reader's would."""
    lines, session = ["set -euo pipefail"], 0
    python = []
    for language, code in blocks(page):
        if language == "python":
            python.append(code)
            name = f".block-{session}.py"
            # What came before ran already, but names stay: run it again in silence.
            before = "\n".join(python[:-1])
            quiet = f"import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n    exec({before!r})\n"
            lines.append(
                f"cat > {name} <<'PYTHON_BLOCK'\n{quiet}{code}\nPYTHON_BLOCK\npython {name}"
            )
            session += 1
        else:
            lines.append(code)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page))], ids=str)
def test_blocks_run(page, clone):
    done = clone("bash", "-c", script(page))
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    printed = {" ".join(line.split()) for line in done.stdout.splitlines()}
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = [line for found in OUTPUT.findall(text) for line in found.splitlines() if line]
    assert [line for line in shown if " ".join(line.split()) not in printed] == []


def test_pages_say_why_a_block_does_not_run():
    marks = sum((ROOT / page).read_text().count("<!-- not run: ") for page in PAGES)
    matched = sum(
        bool(found["why"]) for page in PAGES for found in BLOCK.finditer((ROOT / page).read_text())
    )
    assert marks == matched > 0
