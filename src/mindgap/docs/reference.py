"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import typer


def describe_commands() -> str:
    """A section for each public command: what it does, its arguments and options, examples."""
    from mindgap.cli import app

    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="mindgap")
    lines: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if not command.hidden:
            lines += _describe(
                name, command, typer.Context(command, parent=context, info_name=name)
            )
    return "\n".join(lines).rstrip()


def _describe(name: str, command: typer.core.TyperCommand, context: typer.Context) -> Iterator[str]:
    usage = " ".join([f"mindgap {name}", *command.collect_usage_pieces(context)])
    words, examples = _split(command.help or "")
    yield from (f"## `{name}`", "", *words, "")
    yield from ("```text", usage, "```", "")
    rows = [param.get_help_record(context) for param in command.get_params(context)]
    yield from ("| argument or option | meaning |", "|---|---|")
    yield from (f"| `{_cell(head)}` | {_cell(said)} |" for head, said in filter(None, rows))
    yield ""
    if examples:
        yield from ("Examples:", "", "<!-- not run: names files of yours -->")
        yield from ("```bash", *examples, "```", "")


def _split(text: str) -> tuple[list[str], list[str]]:
    """Sentences and examples of the help of a command."""
    lines = [line.strip() for line in text.splitlines()]
    examples = [line for line in lines if line.startswith("mindgap ")]
    return [line for line in lines if line and line not in examples], examples


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
