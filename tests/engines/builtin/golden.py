"""Writes the digests of the current revision: `python -m tests.engines.builtin.golden`."""

from __future__ import annotations

import json
from pathlib import Path

from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from tests.engines.builtin.making import make_request, run, stages

GOLDEN = Path(__file__).with_name("golden.json")
SAMPLERS = ("k_dpmpp_2m", "k_euler_ancestral", "k_heun")


def main() -> None:
    """Add or replace the digests of the revision in the package."""
    weights = load_weights()
    pipeline = Pipeline(weights)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    golden[str(weights.manifest.revision)] = {
        name: stages(run(pipeline, make_request(sampler=name))) for name in SAMPLERS
    }
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    pipeline.close()


if __name__ == "__main__":
    main()
