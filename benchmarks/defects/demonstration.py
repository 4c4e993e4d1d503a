"""EfficientNet-Lite0 as the demo audits it: a sound network that others trained."""

from __future__ import annotations

import time
from pathlib import Path

import auditor
from auditor import demo
from benchmarks.defects.running import Case, Found, found


def audited(folder: Path) -> Found:
    """Audit the network over photographs that installed packages ship."""
    begun = time.process_time()
    shown = demo.prepare(folder / "demo")
    audit = auditor.run(shown.checkpoint, shown.data, arch=shown.arch, preprocess=shown.preprocess, threads=1)
    return found(Case("photographs", "EfficientNet-Lite0"), audit, None, time.process_time() - begun)
