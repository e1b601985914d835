"""The command `mindgap`: measure a gap, fit a map that changes it, apply the map to files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mindgap import __version__, checkout, pages
from mindgap.arguments import FILES, name_files, read_files
from mindgap.runtime.errors import UserError
from mindgap.terminal import print_json, print_table

app = typer.Typer(
    help="Measure and change the modality gap between embeddings of images, texts, sounds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Start with: mindgap measure image.npy text.npy",
)
app.add_typer(pages.app)
app.add_typer(checkout.app)

MOST_SHIFTS = 100_000
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def measure(
    files: Annotated[list[str], typer.Argument(help=f"Two files or more: {FILES}")],
    bootstrap: Annotated[int, typer.Option(help="Resamples behind each interval.")] = 1000,
    confidence: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of resamples, samples and folds.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads; they change no number.")] = 2,
    as_json: Json = False,
) -> None:
    """Measure the gap between modalities, with intervals. In R@1 a tie is a miss.

    mindgap measure image.npy text.npy
    mindgap measure image=a.npy text=b.npy audio=c.npy --json
    """
    from mindgap.api.gaps import measure as run

    rows = read_files(files)
    gaps = run(rows, bootstrap=bootstrap, confidence=confidence, seed=seed, threads=threads)
    if as_json:
        print_json(gaps.rows)
    else:
        print_table(gaps.short())


@app.command()
def compare(
    files: Annotated[list[str], typer.Argument(help=f"Two files: {FILES}")],
    labels: Annotated[
        str | None, typer.Option(help="Class of each row, for zero-shot classification.")
    ] = None,
    text_share: Annotated[
        float, typer.Option(help="Share of a mixed corpus that shows its second modality.")
    ] = 0.5,
    calibration: Annotated[float, typer.Option(help="Share of pairs to fit on.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of split, corpus and resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Try every fix on held-out pairs, and say which to take for which use.

    mindgap compare image.npy text.npy --text-share 0.3
    """
    from mindgap.api.fixes import compare_fixes
    from mindgap.embed.arrays import read_array

    known = None if labels is None else read_array(labels)
    options = {"text_share": text_share, "calibration": calibration, "seed": seed}
    places = name_files(files)
    fixes = compare_fixes(read_files(files), labels=known, **options)
    decision = fixes.decide(places)
    if as_json:
        facts = {"gap": fixes.gap, "fixes": fixes.rows, "mixed": fixes.mixed}
        print_json({"decision": decision, **facts})
    else:
        print("\n".join(decision))


@app.command()
def calibrate(
    files: Annotated[list[str], typer.Argument(help=f"Two files: {FILES}")],
    precision: Annotated[
        float, typer.Option(help="Wanted share of matches among the accepted.")
    ] = 0.9,
    calibration: Annotated[float, typer.Option(help="Share of queries to fit on.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of split and resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Say which cosine means a match: its probability, and the threshold for a wanted precision.

    mindgap calibrate image.npy text.npy --precision 0.95
    """
    from mindgap.api.calibrations import calibrate as run

    found = run(read_files(files), precision=precision, calibration=calibration, seed=seed)
    if as_json:
        print_json({"directions": found.rows, "reliability": found.curves})
    else:
        print(found)


@app.command()
def fit(
    method: Annotated[str, typer.Argument(help="centring, procrustes, ...; see mindgap methods.")],
    files: Annotated[list[str], typer.Argument(help=f"Two files: {FILES}")],
    out: Annotated[Path, typer.Option(help="Where the map goes.")] = Path("map.safetensors"),
    renormalise: Annotated[
        bool, typer.Option(help="Whether mapped rows become unit rows again, for cosines.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Fit a map that changes the gap, on matched rows, and save it.

    mindgap fit centring image.npy text.npy --out map.safetensors
    """
    from mindgap.downstream.maps import fit as run

    rows = read_files(files)
    if len(rows) != 2:
        raise UserError(f"a map lies between two modalities, got {len(rows)} files")
    found = run(method, *rows.values(), modalities=tuple(rows), renormalise=renormalise)
    found.save(out)
    facts = {"map": str(out), "method": method, "modalities": list(rows), **found.fit_on_}
    if as_json:
        print_json(facts)
    else:
        first = next(iter(rows))
        print(f"{out}: {method} of {' and '.join(rows)}, fit on {facts['pairs']:,} pairs")
        print(f"Apply it: mindgap apply {out} ROWS.npy MAPPED.npy --modality {first}")


@app.command()
def apply(
    map_file: Annotated[Path, typer.Argument(metavar="MAP", help="What mindgap fit wrote.")],
    rows: Annotated[str, typer.Argument(help="Rows to map: .npy, .npz#key or .safetensors#key.")],
    out: Annotated[Path, typer.Argument(help="Where the mapped rows go, a .npy file.")],
    modality: Annotated[str, typer.Option(help="Modality of the rows.")],
) -> None:
    """Apply a map to the rows of one modality; a file larger than memory works.

    mindgap apply map.safetensors image.npy moved.npy --modality image
    """
    import numpy as np

    from mindgap.downstream.maps import load_map
    from mindgap.embed.arrays import read_array
    from mindgap.inputs import as_rows
    from mindgap.runtime.files import replacing

    if out.suffix != ".npy":
        raise UserError(f"{out}: mapped rows are written as .npy; choose a name that ends so")
    found, given = load_map(map_file), as_rows(read_array(rows), rows, least=1)
    kind = np.result_type(given.dtype, np.float32)
    with replacing(out) as part:
        mapped = np.lib.format.open_memmap(part, "w+", kind, given.shape)
        start = 0
        for block in found.stream(given, modality):
            mapped[start : start + len(block)] = block
            start += len(block)
        mapped.flush()
    print(f"{out}: {len(given):,} rows of {modality}, {kind}")


@app.command()
def landscape(
    files: Annotated[list[str], typer.Argument(help=f"Two files: {FILES}")],
    start: Annotated[float, typer.Option(help="First shift.")] = -1,
    stop: Annotated[float, typer.Option(help="Last shift.")] = 1.5,
    step: Annotated[float, typer.Option(help="Step of the shifts.")] = 0.05,
    scale: Annotated[
        list[float] | None, typer.Option(help="Inverse temperature 1/tau; give it again for more.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Pairs that share a loss; all, if none.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file for the whole grid.")] = None,
    as_json: Json = False,
) -> None:
    """Show where the contrastive loss is lowest while the gap is opened and closed.

    mindgap landscape image.npy text.npy --batch 50 --out landscape.csv
    """
    import numpy as np

    from mindgap.api.landscapes import INVERSE_TEMPERATURES
    from mindgap.api.landscapes import landscape as run
    from mindgap.runtime.files import write_csv

    if step <= 0 or not start <= stop or (stop - start) / step > MOST_SHIFTS:
        raise UserError(
            f"shifts from {start:g} to {stop:g} in steps of {step:g} are not a grid of 1 to "
            f"{MOST_SHIFTS:,} points: choose other ends or another step"
        )
    shifts = start + step * np.arange(int(np.floor((stop - start) / step + 1e-9)) + 1)
    found = run(
        read_files(files),
        shifts=shifts,
        inverse_temperatures=scale or INVERSE_TEMPERATURES,
        batch=batch,
    )
    if out:
        write_csv(out, found.to_frame())
    if as_json:
        print_json(found.minima().to_dict("records"))
    else:
        print(found)


@app.command()
def methods() -> None:
    """List the methods that change the gap, and what each does.

    mindgap methods
    """
    from mindgap.downstream.methods import METHODS, fit_dropping

    for name, method in {**METHODS, "drop_K": fit_dropping}.items():
        print(f"{name:14} {method.__doc__.splitlines()[0]}")


def _version(asked: bool) -> None:
    if asked:
        print(f"mindgap {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; a mistake of the caller is one sentence and the exit status 1."""
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
