"""The options of a run: read, checked, and resolved into what the run makes.

No module here decides a result beyond the values that stand in the parameters of the rules.
"""

from mindgap.config.parse import parse_config
from mindgap.config.read import merge, read_yaml
from mindgap.config.root import Config

__all__ = ["Config", "merge", "parse_config", "read_yaml"]
