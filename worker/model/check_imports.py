"""Import every model of this package, as the last step of an image build: an import error fails the build.

python -m worker.model.check_imports
"""

import sys
from pathlib import Path

from worker.model.loaded import model_class


def main() -> None:
    """Raises what the import raises: the traceback is in the build's output."""
    for manifest in sorted((Path(__file__).parents[1] / "models").glob("*/manifest.json")):
        model_class(manifest.parent)
        print(f"imported {manifest.parent.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
