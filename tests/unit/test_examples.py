"""The public API: everything in `__all__` is documented, and its examples run."""

import doctest
import inspect
import subprocess
import sys

import pytest

import mindgap

#: What a call returns is explained with the call.
RESULTS = ("Calibration", "Fixes", "Gaps", "LossLandscape", "load_map")


@pytest.mark.parametrize("name", mindgap.__all__)
def test_examples_run(name):
    thing = getattr(mindgap, name)
    assert inspect.getdoc(thing)
    module = sys.modules[thing.__module__]
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for test in finder.find(thing, name, module, globs=dict(vars(module))):
        runner.run(test)
        assert test.examples or name in RESULTS, name
    assert runner.summarize().failed == 0


def test_importing_costs_nothing():
    code = (
        "import sys, mindgap; heavy = {'numpy', 'torch', 'pandas', 'numba'} & set(sys.modules);"
        "assert not heavy, heavy; mindgap.measure; mindgap.fit; mindgap.compare_fixes;"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules;"
        "assert set(mindgap.__all__) <= set(dir(mindgap))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        mindgap.mesure  # noqa: B018
