"""The landscape of the published CLIP features (500 ViT-B/16 pairs), to its printed digits.

Recomputed from the authors' file features_clip.npy (commit 8e20cb2): float64, batches of 50 in file
order, both sides shifted by half of delta along the unit gap vector. Columns: delta, distance, then
image->text, text->image and mean at 1/tau = 100, the same at 50, image->text at 1. The authors plot
image->text alone (Liang et al. 2022, Figure 3b-d, on 5,000 other pairs).
"""

import numpy as np
import pytest

from mindgap.gap.cosines import unit_rows
from mindgap.shift.landscape import landscape

TABLE = """
-5.00 1.9108 2.5233 2.5187 2.5210 3.1713 3.1701 3.1707 3.8964
-2.00 1.6883 1.1561 1.0318 1.0939 1.8994 1.8670 1.8832 3.8609
-1.00 1.4294 0.9100 0.7302 0.8201 1.2285 1.1558 1.1922 3.8252
-0.50 1.1958 0.7132 0.6328 0.6730 0.8991 0.8604 0.8797 3.7983
-0.25 1.0392 0.5967 0.6011 0.5989 0.7517 0.7527 0.7522 3.7830
 0.00 0.8514 0.5232 0.6089 0.5660 0.6486 0.6908 0.6697 3.7676
 0.25 0.6315 0.5618 0.6994 0.6306 0.6302 0.6989 0.6646 3.7535
 0.50 0.3831 0.8034 0.9437 0.8736 0.7398 0.8083 0.7740 3.7429
 0.75 0.1149 1.3090 1.3899 1.3495 0.9940 1.0315 1.0127 3.7375
 1.00 -0.1605 1.9619 1.9394 1.9506 1.3398 1.3233 1.3316 3.7385
 1.25 -0.4270 2.5720 2.4282 2.5001 1.6660 1.5963 1.6311 3.7456
 1.75 -0.8876 2.9736 2.7204 2.8470 1.9453 1.8298 1.8876 3.7718
 2.50 -1.3470 2.1742 1.9984 2.0863 1.8099 1.7179 1.7639 3.8158
 3.50 -1.6521 1.5009 1.4246 1.4628 1.9985 1.9413 1.9699 3.8557
 4.75 -1.8147 1.7570 1.7104 1.7337 2.5831 2.5575 2.5703 3.8805
"""


@pytest.fixture(scope="module")
def sets(published):
    return [unit_rows(rows) for rows in np.load(published("features_clip.npy"))]


def test_printed_table(sets):
    printed = np.array([line.split() for line in TABLE.strip().splitlines()], float)
    found = landscape(*sets, printed[:, 0], [100, 50, 1], batch=50, threads=2)
    columns = [found.shifts, found.distance]
    for t in (0, 1):
        columns += [found.loss_ab[:, t], found.loss_ba[:, t], found.loss[:, t]]
    columns.append(found.loss_ab[:, 2])
    # Half a unit of the last digit, and the roundings of float32 in the logits that count.
    np.testing.assert_allclose(np.stack(columns, axis=1), printed, atol=0.5e-4 + 3e-6)


def test_untouched_gap_is_the_minimum_of_the_published_grid(sets):
    """On steps of 0.25 that holds for image->text and the mean; text->image is lowest beside it."""
    grid = np.arange(-5, 5, 0.25)
    found = landscape(*sets, grid, [100], batch=50, threads=2)
    lowest = {name: grid[getattr(found, name)[:, 0].argmin()] for name in ("loss_ab", "loss")}
    assert lowest == {"loss_ab": 0, "loss": 0}
    assert grid[found.loss_ba[:, 0].argmin()] == -0.25


def test_minimum_moves_to_zero_distance_with_temperature(sets):
    found = landscape(*sets, np.arange(-5, 5, 0.25), [100, 50, 30, 20, 10, 1], batch=50, threads=2)
    for losses in (found.loss_ab, found.loss):
        reach = np.abs(found.distance[losses.argmin(axis=0)])
        assert (np.diff(reach) <= 1e-12).all()
        assert reach[-1] < 0.12


def test_full_batch_of_500_equals_the_direct_method(sets):
    """All pairs as one batch, both directions, in float64, far shifts too."""
    from scipy.special import logsumexp

    x, y = sets
    difference = x.mean(axis=0) - y.mean(axis=0)
    u = difference / np.linalg.norm(difference)
    shifts, scales = np.array([-5, -1, 0, 0.25, 0.8, 2, 4.75]), [100, 30, 1]
    found = landscape(x, y, shifts, scales, threads=2)
    for k, shift in enumerate(shifts):
        cosines = unit_rows(x - shift / 2 * u) @ unit_rows(y + shift / 2 * u).T
        for t, scale in enumerate(scales):
            logits = scale * cosines
            matched = np.diagonal(logits)
            for losses, axis in ((found.loss_ab, 1), (found.loss_ba, 0)):
                expected = (logsumexp(logits, axis=axis) - matched).mean()
                assert losses[k, t] == pytest.approx(expected, abs=1e-5), (shift, scale, axis)
