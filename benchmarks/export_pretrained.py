"""Copy a trained run into the package, for `dream eval --pretrained NAME`.

python -m benchmarks.export_pretrained runs/sign/dream/s0 sign
"""

from __future__ import annotations

import sys
from pathlib import Path

from dream.eval.pretrained import FOLDER, export

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    export(Path(sys.argv[1]), FOLDER / sys.argv[2])
