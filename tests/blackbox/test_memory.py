"""A server's memory is bounded: bench/soak.py, with few requests, holds it to what its full run is held to."""
import subprocess
import sys

import pytest

from conftest import ENVIRONMENT, MODEL_DIR, ROOT, SANITIZED, SIMBERT

LIMIT = 600  # seconds


@pytest.mark.skipif(SANITIZED, reason="sanitizers hold memory of their own")
# int8 has the least to spare; so many requests fill the cache of vectors too.
@pytest.mark.parametrize("dtype,requests", [("f32", 3000), ("int8", 8000)])
def test_memory_is_bounded_and_flat(dtype, requests):
    done = subprocess.run([sys.executable, ROOT / "bench" / "soak.py", "--simbert", SIMBERT, "--model", MODEL_DIR, "--dtype",
                           dtype, "--requests", str(requests), "--dry-run"], env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
