"""The program of a further process of a node; `node_processes` starts it."""

import pickle
import sys
from importlib import import_module

#: Imported by name, because the path to them comes in standard input.
_NAMESPACES, _PICKLING = "lightning_lite.values.namespaces", "lightning_lite.values.pickling"


def main() -> None:
    """Run the process that standard input describes."""
    path, argv, finders, packed = pickle.load(sys.stdin.buffer)
    sys.path[:], sys.argv[:] = path, argv
    namespaces, pickling, *_ = map(import_module, (_NAMESPACES, _PICKLING, *finders))
    namespaces.expect_script()
    host, rank = pickling.unpack(packed)
    host.carried.launch(rank)


if __name__ == "__main__":
    main()
