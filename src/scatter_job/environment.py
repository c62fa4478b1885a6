"""What every run finds in its environment, so that the same job on the same data repeats."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FIXED_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
)
"""Two threads add in another order than one."""
