"""The commands of `mindgap` that write pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.arguments import FILES, read_files

app = typer.Typer()


@app.command()
def explore(
    files: Annotated[list[str], typer.Argument(help=f"Two files or more: {FILES}")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page goes.")] = Path(
        "page.html"
    ),
    captions: Annotated[
        str | None, typer.Option(help="Texts to show: one line each, or table.csv#column.")
    ] = None,
    thumbnails: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures in the order of the rows, or named by row number."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class of each row, for zero-shot classification.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pairs that share a loss; all, if none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of sample, split and corpus.")] = 0,
) -> None:
    """Write a page in which a reader moves the gap and sees what follows.

    mindgap explore image.npy text.npy -o page.html --captions captions.txt --thumbnails pictures
    """
    from mindgap.api.explorers import explore as run
    from mindgap.embed.arrays import read_array
    from mindgap.explorer.media import read_captions

    page = run(
        read_files(files),
        labels=None if labels is None else read_array(labels),
        path=out,
        captions=None if captions is None else read_captions(captions),
        thumbnails=thumbnails,
        batch=batch,
        seed=seed,
    )
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB; open it in a browser, it needs no network")
