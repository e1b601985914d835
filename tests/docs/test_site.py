"""The site builds without a network, has no dead link and asks for nothing from elsewhere."""

import re

#: No request gets out.
OFFLINE = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "ALL_PROXY")}


def test_the_site_builds_offline(clone):
    done = clone("make", "docs", **OFFLINE)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    pages = list((clone.folder / "site").rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(script|img|iframe)[^>]*\bsrc=[\"']?(https?:)?//", text), page
        assert not re.search(r"<link[^>]*stylesheet[^>]*(https?:)?//", text), page
    # Opened from disk, a link must name a file and not a folder.
    home = (clone.folder / "site/index.html").read_text(encoding="utf-8")
    local = [href for href in re.findall(r'href="([^"#]+)"', home) if "://" not in href]
    assert local and all((clone.folder / "site" / href).is_file() for href in local)
    assert (clone.folder / "site/explanation/clip-explorer.html").stat().st_size > 500_000
    # Pages are as committed.
    assert not clone("git", "status", "--porcelain", "--", "README.md", "docs").stdout


def test_a_dead_link_is_an_error(clone):
    page = clone.folder / "docs/explanation/conventions.md"
    before = page.read_text(encoding="utf-8")
    for link in ("[x](nowhere.md)", "[x](claims.md#nowhere)"):
        page.write_text(f"{before}\n{link}\n", encoding="utf-8")
        done = clone("mkdocs", "build", "--strict", "--site-dir", "other")
        assert done.returncode != 0 and "nowhere" in done.stdout + done.stderr
    page.write_text(before, encoding="utf-8")
