"""Bounds of rounding errors: another CPU adds in another order, and tests must pass there too."""

EPS = 2.0**-24  # largest relative error of one rounding of float32


def walk(roundings, size):
    """Error of a number in float32 after so many roundings of numbers up to `size`, one by one.

    They add up like a random walk; four of its standard deviations.
    """
    return 4 * roundings**0.5 * size * EPS


#: Rows of a tiny network: ten products of 64 terms, one after the other, of numbers up to 4. 2.4e-5
NETWORK = walk(10 * 64, 4)
#: The same rows scaled to unit length.
UNIT = walk(10 * 64, 1)
