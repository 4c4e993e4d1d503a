"""Run every benchmark: `python -m benchmarks`."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
for name in ("startup", "sweep", "gradients", "synthesis", "report"):
    print(f"\n{name}\n{'-' * len(name)}")
    sys.argv = [name]
    runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
