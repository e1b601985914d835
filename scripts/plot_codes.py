"""Draw what the codes of one codebook mean."""

from mindgap.codebook.examples import choose_codes, find_examples, read_media
from mindgap.codebook.figures import figure_codes
from mindgap.codebook.store import read_codes
from mindgap.config.codebook import Inputs
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the codes that name concepts best, with examples of both modalities."""
    params, inputs = job.params, Inputs.model_validate(job.params.inputs)
    codes, about = read_codes(job.input.codes)
    chosen = choose_codes(read_csv(job.input.concepts), params.shown)
    found = find_examples(codes, chosen, params.examples)
    media = [
        read_media(job.input.pairs, about["kinds"][modality], found[side], inputs)
        for side, modality in enumerate(about["modalities"])
    ]
    meaning = read_csv(job.input.meaning)
    figure = figure_codes(chosen, meaning, found, media, codes, about)
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
