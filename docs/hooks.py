"""Show files from outside docs/ as pages of the site."""

from pathlib import Path
from typing import Any

FILES = {
    "develop/changelog.md": "CHANGELOG.md",
    "develop/contributing.md": "CONTRIBUTING.md",
    "reference/configuration.md": "config/README.md",
}


def on_page_markdown(markdown: str, page: Any, config: Any, **more: Any) -> str:
    """Text of a page; links into docs/ begin one folder up, because all of these are in folders."""
    name = FILES.get(page.file.src_uri)
    if name is None:
        return markdown
    root = Path(config["config_file_path"]).parent
    return (root / name).read_text(encoding="utf-8").replace("](docs/", "](../")
