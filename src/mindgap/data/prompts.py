"""Class prompts: a template with a place for the name of a class."""

from __future__ import annotations


def fill(template: str, name: str) -> str:
    """Put a class name into a template: `{}` for the name, `{a}` for its article.

    The article follows the first letter, which is how the published prompts have it ("an
    orangutan", "a white man").
    """
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return template.replace("{a}", article).replace("{}", name)
