"""Write the page in which a reader moves the gap and sees what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.api.landscapes import INVERSE_TEMPERATURES
from mindgap.downstream.trial import class_numbers
from mindgap.explorer.build import TEXT_SHARE, page_facts, sample_rows, sweep_losses, usual_shifts
from mindgap.explorer.media import draw_thumbnails, find_pictures, shorten
from mindgap.explorer.page import render
from mindgap.gap.cosines import unit_rows
from mindgap.inputs import named_rows
from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra
from mindgap.runtime.files import write_text


def explore(
    first: Any,
    second: Any = None,
    labels: Any = None,
    *,
    path: str | Path = "page.html",
    captions: Sequence[str] | None = None,
    thumbnails: str | Path | None = None,
    shifts: Sequence[float] | np.ndarray | None = None,
    inverse_temperatures: Sequence[float] = INVERSE_TEMPERATURES,
    batch: int | None = None,
    text_share: float = TEXT_SHARE,
    seed: int = 0,
) -> Path:
    """Write a page in which a reader moves the gap and sees what follows.

    One HTML file, which opens without a network: the pairs in the plane of the gap direction and
    the first principal direction across it, with a slider that moves them; the loss over the
    distance and over shift and temperature; gap, matched cosine, R@1, NDCG@10 of a mixed corpus
    and zero-shot accuracy; the ranks and nearest neighbours of one pair. Another choice shows each
    way of closing the gap on held-out pairs.

    Parameters
    ----------
    first, second
        (n, d) rows of two modalities, of any norm, or a mapping of two or more, as in `measure`.
        The page shows at most 2,000 pairs; of more it takes a sample and says so.
    labels
        (n,) class of each item, for zero-shot classification, as in `compare_fixes`.
    path
        Where the page goes.
    captions
        n texts that are shown beside the rows.
    thumbnails
        Folder of pictures: one for each row, in the order of their names, or named by row number.
    shifts
        Grid of shifts, as in `landscape`; by default -1 to 1.5 in steps of 0.1.
    inverse_temperatures, batch
        As in `landscape`.
    text_share
        Share of the mixed corpus that shows its second modality.
    seed
        Seed of the sample, of the split into pairs to fit on and held-out pairs, and of the
        corpora.

    Returns
    -------
    The path of the page.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((50, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = explore(shared + 1, shared - 1, path=f"{folder}/page.html")
    ...     page.name, "https://" in page.read_text()
    ('page.html', False)
    """
    with extra("plot", "the explorer needs"):
        import bokeh  # noqa: F401
    if not 0 <= text_share <= 1:
        raise UserError(f"text_share={text_share:g}: give a share between 0 and 1")
    given = named_rows(first, second)
    n = len(next(iter(given.values())))
    numbers = class_numbers(labels, n)
    if captions is not None and len(captions) != n:
        raise UserError(f"{len(captions):,} captions for {n:,} rows; give one for each row")
    pictures = None if thumbnails is None else find_pictures(thumbnails, n)
    shown = sample_rows(n, seed)
    rows = {name: unit_rows(each[shown]) for name, each in given.items()}
    if numbers is not None:
        numbers = class_numbers(numbers[shown], len(shown))
    grid = usual_shifts() if shifts is None else np.asarray(shifts, float)

    facts = page_facts(
        rows,
        lambda a, b: sweep_losses(rows[a], rows[b], grid, inverse_temperatures, batch),
        shown=shown,
        total=n,
        shifts=grid,
        seed=seed,
        numbers=numbers,
        captions=None if captions is None else [shorten(captions[row]) for row in shown],
        thumbnails=None if pictures is None else draw_thumbnails(pictures, shown.tolist()),
        text_share=text_share,
    )
    write_text(path, render(facts))
    return Path(path)
