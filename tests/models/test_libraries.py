"""Torch is imported before threads compute, and only where a network needs it."""

import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
from daycast import models
from daycast.config import compose
models.import_libraries(compose(Path(sys.argv[1]), [sys.argv[2]]).model.values())
print("torch" in sys.modules and hasattr(sys.modules["torch"], "Tensor"))
"""


@pytest.mark.parametrize(("chosen", "there"), [("model=[naive,gru]", "True"), ("model=[naive,sarima]", "False")])
def test_torch_is_imported_whole_before_threads_compute_and_not_without_a_network(root, chosen, there):
    done = subprocess.run([sys.executable, "-c", CODE, str(root), chosen], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == there
