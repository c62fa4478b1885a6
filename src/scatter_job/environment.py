"""What every run finds in its environment, so that the same job on the same data repeats.

Libraries choose their instructions by what they find of the processor, and two choices round
differently. So one level is fixed for all: that of 2013, AVX2 with FMA, which nearly every machine
has. On one that lacks it libraries choose for themselves, and a score may differ within the
tolerance of the protocol.
"""

import platform
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

_ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        # Two threads add in another order than one.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
)

_WITH_AVX2: Final[Mapping[str, str]] = MappingProxyType(
    {
        "OPENBLAS_CORETYPE": "Haswell",
        # What is beyond, by the names of numpy 2.4 and by those before; it passes over the others.
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX",
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2,STRICT",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }
)

_PROCESSOR: Final = Path("/proc/cpuinfo")
_NEEDED: Final = frozenset({"avx2", "fma", "bmi2"})


def fix_environment(flags: frozenset[str]) -> Mapping[str, str]:
    """The environment of runs on a processor with these abilities, as Linux calls them."""
    return MappingProxyType({**_ALWAYS, **(_WITH_AVX2 if flags >= _NEEDED else {})})


def read_flags() -> frozenset[str]:
    """What this machine's processor is able to do; nothing of one that cannot be asked."""
    if platform.machine() != "x86_64" or not _PROCESSOR.is_file():
        return frozenset()
    lines = _PROCESSOR.read_text(errors="replace").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


FIXED_ENVIRONMENT: Final = fix_environment(read_flags())
