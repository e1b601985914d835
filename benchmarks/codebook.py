"""Race: one step of quantiser and code matching, against vector-quantize-pytorch and a direct loss.

Ours takes the codes and the soft assignment from one tile of distances after the other. Theirs
calls the library's `VectorQuantize` on the tokens of both modalities, and for code matching, which
it does not offer, computes the distances, softmax, mean, logarithm and score of the paper's formula
with autograd. Same tokens, same codes, same decay; both end with the gradient of the tokens and an
updated codebook.

    python benchmarks/codebook.py [--codes 1024] [--dimension 256] [--items 256] [--length 16]
                                  [--threads 2] [--device cpu]
"""

import argparse
import os
import statistics
import threading
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the workflow has it

import torch
from tqdm import tqdm

from mindgap.codebook.assign import assign
from mindgap.codebook.losses import code_matching
from mindgap.codebook.quantise import Codebook
from mindgap.config.codebook import CodebookRecipe


def ours(rows, given):
    """Return a function that does one step of ours, and the codebook."""
    options = CodebookRecipe(codes=given.codes, code_dimension=given.dimension, dead=0)
    book = Codebook(options, 2, 0).to(given.device)
    count = 2 * given.items
    items = torch.arange(count, device=given.device).repeat_interleave(given.length)
    modality = (items >= given.items).long()

    def step():
        tokens = rows.clone().requires_grad_(True)
        logs, codes = assign(book.place(tokens), book.table(), items, count, given.temperature)
        found = book(tokens, codes)
        loss = code_matching(logs[: given.items], logs[given.items :], "cross_entropy", 1.0, False)
        (loss + 0.25 * found.loss + found.rows.sum() * 1e-3).backward()
        book.update(tokens, codes, modality)
        return loss.detach(), tokens.grad

    return step, book


def theirs(rows, given, start):
    """Return a function that does one step with the library and a loss written out."""
    from vector_quantize_pytorch import VectorQuantize

    book = VectorQuantize(
        dim=given.dimension,
        codebook_size=given.codes,
        decay=0.99,
        commitment_weight=0.25,
        rotation_trick=False,
        threshold_ema_dead_code=0,
        sync_codebook=False,
    ).to(given.device)
    book._codebook.embed.copy_(start[None])
    book._codebook.embed_avg.copy_(start[None])
    book.train()
    shape = (2, given.items, given.length, given.dimension)

    def step():
        tokens = rows.clone().requires_grad_(True)
        table = book._codebook.embed[0].clone()
        out, _, loss = book(tokens[None])
        distance = torch.cdist(tokens, table)
        soft = torch.softmax(-distance / given.temperature, 1)
        p, q = soft.view(*shape[:3], -1).mean(2)
        scores = p @ (q + 1e-10).log().T + (p + 1e-10).log() @ q.T
        target = torch.arange(given.items, device=tokens.device)
        matched = torch.nn.functional.cross_entropy(scores, target)
        # The library's mean is over dimensions too.
        (matched + given.dimension * loss.sum() + out.sum() * 1e-3).backward()
        return matched.detach(), tokens.grad

    return step


def peak_of(step, device):
    """MB above the start while a step runs."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    import psutil

    process, done, most = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch():
        while not done.is_set():
            most[0] = max(most[0], process.memory_info().rss - before)
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return most[0] / 1e6


def main():
    """Run the race and print its ratio last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("codes", 1024), ("dimension", 256), ("items", 256), ("length", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    n = 2 * given.items * given.length
    rows = torch.randn(n, given.dimension, generator=torch.Generator().manual_seed(0))
    rows = rows.to(given.device)
    mine, book = ours(rows, given)
    runs = {"ours": mine, "library and direct loss": theirs(rows, given, book.vectors.clone())}
    peaks = {name: peak_of(step, given.device) for name, step in runs.items()}
    times = {name: [] for name in runs}
    for number in tqdm(range(given.steps + 2), unit=" rounds"):
        found = {}
        for name, step in runs.items():
            start = time.perf_counter()
            found[name] = step()
            if given.device != "cpu":
                torch.cuda.synchronize()
            if number >= 2:  # warm
                times[name].append(time.perf_counter() - start)
        (loss, gradient), (other, theirs_) = found.values()
        error = ((gradient - theirs_).norm() / theirs_.norm()).item()
        assert abs(loss - other) < 1e-3 and error < 1e-3, (loss, other, error)
    product = rows @ book.vectors.T
    start = time.perf_counter()
    for _ in range(5):
        torch.mm(rows, book.vectors.T, out=product)
    if given.device != "cpu":
        torch.cuda.synchronize()
    one = (time.perf_counter() - start) / 5
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {1e3 * seconds:.1f} ms a step, {peaks[name]:.0f} MB above the inputs")
    print(f"one matrix product of tokens and codes: {1e3 * one:.1f} ms; equal loss and gradient")
    where = f"V = {given.codes}, D = {given.dimension}, {n} tokens, {given.threads} threads"
    ratio = medians["library and direct loss"] / medians["ours"]
    print(
        f"ratio {ratio:.2f} x codebook (ours vs library and direct loss, {where}, {given.device})"
    )


if __name__ == "__main__":
    main()
