"""Race: the depth grid of `mindgap.cone.layers` against the loop of the published notebooks.

    python benchmarks/cone.py [--seeds 20] [--threads 2] [--whole]

1. 25 layers x 5 activations x 20 seeds, 1,024 rows of 512. The loop, as published: a linear module
   at a time, one seed after another, the whole cosine matrix after each layer, which the notebook
   turns into a list of a million numbers and a data frame before it takes the mean (timed on one
   of the seeds, unless `--whole`). And the same loop without list and frame, the strongest form of
   it (3 of the seeds). The means over the seeds are compared.
2. The forward passes of many initialisations of ResNet-18 and CLIP ViT-B/32 on 32 inputs: share of
   the machine's own float32 matrix-product rate, with and without drawing the weights.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from mindgap.cone.inputs import noise
from mindgap.cone.layers import Network, trace_depth
from mindgap.cone.towers import run_towers
from mindgap.embed.encoders.drawn import drawn_encoder

DEPTH, WIDTH, INPUTS, BATCH = 25, 512, 1024, 32
MODULES = {
    "sigmoid": torch.nn.Sigmoid,
    "relu": torch.nn.ReLU,
    "leaky_relu": torch.nn.LeakyReLU,
    "tanh": torch.nn.Tanh,
    "none": torch.nn.Identity,
}


def seconds(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


@torch.no_grad()
def notebook(name, seed, lists):
    """One curve as the published notebook computes it, with its lists or without."""
    torch.manual_seed(seed)
    x, means = torch.randn(INPUTS, WIDTH), []
    for layer in range(DEPTH + 1):
        if layer:
            linear = torch.nn.Linear(WIDTH, WIDTH)
            linear.weight.normal_(0, WIDTH**-0.5)
            linear.bias.normal_(0, WIDTH**-0.5)
            x = MODULES[name]()(linear(x))
        if lists:
            rows = x.numpy()
            unit = rows / (np.linalg.norm(rows, axis=-1, keepdims=True) + 1e-16)
            cosines = (unit @ unit.T).ravel().tolist()
            pd.DataFrame({"cosine": cosines})
            means.append(np.mean(cosines))
        else:
            unit = x / (x.norm(dim=1, keepdim=True) + 1e-16)
            means.append((unit @ unit.T).mean().item())
    return means


def machine_rate():
    a = torch.randn(2048, 2048)
    a @ a
    return 2 * 2048**3 / min(seconds(lambda: a @ a)[0] for _ in range(5))


def race_depth(seeds, threads, whole):
    networks = [Network(name) for name in MODULES]
    loops = {True: range(seeds if whole else 1), False: range(seeds if whole else min(seeds, 3))}
    trace_depth(networks, 2, INPUTS, [0, 1], threads)
    notebook("relu", 0, False)
    ours, theirs, found, slow = [], {True: [], False: []}, None, None
    for _ in range(3):  # in turns, so that other work on the machine meets all
        took, found = seconds(lambda: trace_depth(networks, DEPTH, INPUTS, range(seeds), threads))
        ours.append(took)
        for lists, loop in loops.items():
            took, slow = seconds(
                lambda lists=lists, loop=loop: [
                    [notebook(n, s, lists) for s in loop] for n in MODULES
                ]
            )
            theirs[lists].append(took * seeds / len(loop))
    fast, loop, slow = np.median(ours), loops[False], np.array(slow).transpose(0, 2, 1)
    published, lean = np.median(theirs[True]), np.median(theirs[False])
    error = np.hypot(found.std(2, ddof=1) / seeds**0.5, slow.std(2, ddof=1) / len(loop) ** 0.5)
    off = np.abs(found.mean(2) - slow.mean(2)) / np.maximum(error, 1e-5)
    print(f"depth grid: ours {fast:.2f} s, loop {published:.1f} s, without lists {lean:.1f} s")
    print(f"largest distance of the two means over the seeds: {off.max():.1f} standard errors")
    return published / fast, lean / fast


def forward_rate(name, count, device):
    towers, inputs = drawn_encoder(name), noise(BATCH, 0)
    with FlopCounterMode(display=False) as counter:
        run_towers(towers, inputs, BATCH, device)
    flops = counter.get_total_flops()
    drawing, passing, making = 0.0, 0.0, seconds(lambda: inputs.pixels(0, BATCH, towers.size))[0]
    for seed in range(count):
        drawing += seconds(lambda s=seed: towers.draw(s))[0]
        passing += seconds(lambda: run_towers(towers, inputs, BATCH, device))[0] - making
    rate = machine_rate()
    share, whole = (count * flops / took / rate for took in (passing, passing + drawing))
    times = f"{passing / count:.2f} s a pass and {drawing / count:.2f} s to draw"
    print(
        f"{name}: {flops / BATCH / 1e9:.1f} GFLOP an input; {count} initialisations x {BATCH} "
        f"inputs: {times}; {share:.0%} of the {rate / 1e9:.0f} GFLOP/s of a matrix product "
        f"({whole:.0%} with drawing)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="time the loop on all seeds")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in ("resnet-18", "vit-b-32"):
        forward_rate(name, 5, torch.device("cpu"))
    published, lean = race_depth(options.seeds, options.threads, options.whole)
    grid = f"{DEPTH} layers x {len(MODULES)} activations x {options.seeds} seeds"
    for ratio, loop in ((published, "notebook loop"), (lean, "the same without its lists")):
        print(f"ratio {ratio:.1f} x cone (ours vs {loop}, {grid}, {options.threads} threads)")


if __name__ == "__main__":
    main()
