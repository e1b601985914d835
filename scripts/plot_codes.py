"""Show what the codes of one codebook mean."""

from mindgap.codebook.examples import choose_codes, find_examples, read_media
from mindgap.codebook.figures import figure_codes
from mindgap.codebook.store import read_codes
from mindgap.config.codebook import Inputs
from mindgap.explorer.codes import MOST, codes_facts, render_codes
from mindgap.runtime.files import read_csv, write_text
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the codes that name concepts best, and write a page of all that name one."""
    params, inputs, pairs = job.params, Inputs.model_validate(job.params.inputs), job.input.pairs
    codes, about = read_codes(job.input.codes)
    concepts, meaning = read_csv(job.input.concepts), read_csv(job.input.meaning)
    named = choose_codes(concepts, max(MOST, params.shown))
    found = find_examples(codes, named, params.examples)
    media = [
        read_media(pairs, about["kinds"][modality], set().union(*found[side].values()), inputs)
        for side, modality in enumerate(about["modalities"])
    ]
    figure = figure_codes(named.head(params.shown), meaning, found, media, codes, about)
    save_figure(figure, job.output.png, job.output.pdf)
    of = codes, about, named, concepts, meaning, found, media
    facts = codes_facts(job.wildcards.codebook, *of, pairs, inputs)
    write_text(job.output.page, render_codes(facts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
