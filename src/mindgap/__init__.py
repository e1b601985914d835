"""mindgap: measure, explain and change the modality gap of multimodal models."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "Fixes",
    "Gaps",
    "LossLandscape",
    "ModalityMap",
    "calibrate",
    "compare_fixes",
    "explore",
    "fit",
    "landscape",
    "load_map",
    "measure",
]

if TYPE_CHECKING:
    from mindgap.api.calibrations import Calibration, calibrate
    from mindgap.api.explorers import explore
    from mindgap.api.fixes import Fixes, compare_fixes
    from mindgap.api.gaps import Gaps, measure
    from mindgap.api.landscapes import LossLandscape, landscape
    from mindgap.downstream.maps import ModalityMap, fit, load_map

_PLACES = {
    "Calibration": "mindgap.api.calibrations",
    "calibrate": "mindgap.api.calibrations",
    "explore": "mindgap.api.explorers",
    "Fixes": "mindgap.api.fixes",
    "compare_fixes": "mindgap.api.fixes",
    "Gaps": "mindgap.api.gaps",
    "LossLandscape": "mindgap.api.landscapes",
    "ModalityMap": "mindgap.downstream.maps",
    "fit": "mindgap.downstream.maps",
    "landscape": "mindgap.api.landscapes",
    "load_map": "mindgap.downstream.maps",
    "measure": "mindgap.api.gaps",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import mindgap` costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mindgap' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
