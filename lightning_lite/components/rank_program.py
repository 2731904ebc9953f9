"""The program of a further process of a node; `node_processes` starts it."""

import pickle
import sys
from importlib import import_module


def main() -> None:
    """Run the process that standard input describes."""
    path, argv, finders, packed = pickle.load(sys.stdin.buffer)
    sys.path[:], sys.argv[:] = path, argv
    for name in ("lightning_lite.values.namespaces", "lightning_lite.values.pickling", *finders):
        import_module(name)
    sys.modules["lightning_lite.values.namespaces"].expect_script()
    host, rank = sys.modules["lightning_lite.values.pickling"].unpack(packed)
    host.carried.launch(rank)


if __name__ == "__main__":
    main()
