"""Race: a training step against transformers' own CLIPModel with its loss in a plain loop.

Both train the small CLIP of config/default.yaml on the same batches of generated scenes, in one
process, warm; the plain loop is the one that the library's examples show: pixel values from the
image processor, `model(**batch, return_loss=True)`, `loss.backward()`, AdamW.

    python benchmarks/train.py [--steps 20] [--batch 256] [--threads 2]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mindgap.config.train import DualRecipe, SmallClip
from mindgap.data.sets import build_pairs
from mindgap.embed.encoders.load import load_encoder
from mindgap.train.batches import Batches
from mindgap.train.build import write_small_clip
from mindgap.train.dual import Dual
from mindgap.train.loop import make_optimiser
from mindgap.train.parallel import Group
from mindgap.train.pool import load_pool, read_texts
from mindgap.train.trainer import train_step

ROOT = Path(__file__).resolve().parents[1]


def ours(folder, pool, batches, recipe):
    """Return a function that does one step of ours."""
    model = Dual(load_encoder(folder), "cross_entropy", "learned", 1 / 0.07)
    optimiser, group = make_optimiser(model, recipe), Group()
    return lambda step: train_step(model, optimiser, pool, batches[step], recipe, group)


def theirs(folder, pool, batches, recipe, ready):
    """Return a function that does one step of the plain loop; `ready` pixels cost it nothing."""
    from transformers import CLIPModel

    model, encoder = CLIPModel.from_pretrained(folder), load_encoder(folder)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    pixels = encoder.pixels.to_tensor(torch.from_numpy(pool.pictures)) if ready else None

    def step(number):
        items, captions, _ = batches[number]
        if ready:
            values = pixels[torch.from_numpy(items)]
        else:
            pictures = list(pool.pictures[items])
            values = encoder.pixels.processor(pictures, return_tensors="pt").pixel_values
        tokens = {k: torch.from_numpy(rows[captions]) for k, rows in pool.tokens.items()}
        optimiser.zero_grad()
        loss = model(pixel_values=values, **tokens, return_loss=True).loss
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def matrix_rate():
    """GFLOP/s of a float32 matrix product."""
    a = torch.randn(2048, 2048)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / statistics.median(times) / 1e9


def work_of(model, pool, batch):
    """GFLOP of a step: forward and twice as much backward, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    pixels, tokens = pool.batch(np.arange(batch), pool.first[:batch], True)
    with FlopCounterMode(display=False) as counter:
        x, y = model(pixels, tokens)
        model.loss(x, y).backward()
    return counter.get_total_flops() / 1e9


def main():
    """Run the race and print its ratio last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = Path(scratch, "pairs.parquet")
        scenes = {"kind": "shapes", "items": 2000, "size": 32, "frames": 2, "seed": 1}
        build_pairs(pairs, scenes)
        write_small_clip(Path(scratch, "model"), read_texts(pairs), 0, SmallClip())
        encoder = load_encoder(Path(scratch, "model"))
        pool = load_pool(pairs, encoder, given.threads, scratch)
        order = given.batch, "first", np.arange(len(pool)), 0, "none", 0
        batches = Batches(pool.first, pool.count, *order)
        recipe = DualRecipe(steps=given.steps, batch=given.batch, learning_rate=1e-3, warmup=0)
        runs = {
            "ours": ours(Path(scratch, "model"), pool, batches, recipe),
            "plain loop": theirs(Path(scratch, "model"), pool, batches, recipe, False),
            "plain loop, ready pixels": theirs(Path(scratch, "model"), pool, batches, recipe, True),
        }
        times = {name: [] for name in runs}
        for step in tqdm(range(given.steps + 3), unit=" steps"):
            for name, run in runs.items():
                start = time.perf_counter()
                run(step)
                if step >= 3:  # warm
                    times[name].append(time.perf_counter() - start)
        flops = work_of(Dual(encoder, "cross_entropy", "learned", 14.0), pool, given.batch)
        rate = matrix_rate()
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {1e3 * seconds:.1f} ms a step, {given.batch / seconds:.0f} pairs/s")
    share = flops / medians["ours"] / rate
    print(f"{flops:.1f} GFLOP a step: {100 * share:.0f}% of {rate:.0f} GFLOP/s of a matrix product")
    where = f"batch {given.batch}, {given.threads} threads"
    for name in ("plain loop", "plain loop, ready pixels"):
        print(f"ratio {medians[name] / medians['ours']:.2f} x train (ours vs {name}, {where})")


if __name__ == "__main__":
    main()
