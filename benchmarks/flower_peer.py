"""Flower's side: loads the models named, averages them, and prints seconds and peak of memory.

Run by the interpreter of Flower's own environment; it can import nothing of Scatter.
"""

import json
import re
import sys
import time
from importlib import import_module
from pathlib import Path

aggregate = import_module("flwr.server.strategy.aggregate").aggregate
load_file = import_module("safetensors.numpy").load_file

began = time.perf_counter()
models = [(list(load_file(path).values()), 1) for path in sys.argv[1:]]
aggregate(models)
seconds = time.perf_counter() - began

status = Path("/proc/self/status").read_text()
peak = int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.M)[0]) * 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
