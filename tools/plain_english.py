"""Count literary words in the comments and docstrings of a package, per 1,000 words.

Usage: python tools/plain_english.py [--limit RATE] [FOLDER ...]

It prints the rate and the files that have most of them, and exits with 1 if the rate is above the limit.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

#: Words that plain technical English does without; each hides the noun that a reader needs.
LITERARY = re.compile(
    r"\b(whoever|whatever|somebody|nobody|anew|amid|meanwhile|beside|affair|hitherto|thereby|who|told|tells?"
    r"|is to be|are to be)\b",
    re.IGNORECASE,
)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment and docstring of a Python file."""
    source = path.read_text("utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text is not None:
                yield node.body[0].lineno, text


def main() -> int:
    """Print the rate and the worst files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("lightning_lite")])
    parser.add_argument(
        "--limit", type=float, default=0.3, help="literary words per 1,000 words (default: 0.3)"
    )
    parser.add_argument("--verbose", action="store_true", help="print each place")
    options = parser.parse_args()

    num_words, found = 0, []
    for folder in options.folders:
        for path in sorted(folder.rglob("*.py")):
            for line, text in prose(path):
                num_words += len(text.split())
                found += [(path, line, match[0]) for match in LITERARY.finditer(text)]
    rate = 1000 * len(found) / max(num_words, 1)
    if options.verbose:
        for path, line, word in found:
            print(f"{path}:{line}: {word}")
    print(
        f"{len(found)} literary words in {num_words} words of comments and docstrings: {rate:.1f} per 1,000"
    )
    counts = {path: sum(place[0] == path for place in found) for path in {place[0] for place in found}}
    for path in sorted(counts, key=lambda path: -counts[path])[:10]:
        print(f"{counts[path]:4} {path}")
    if rate > options.limit:
        print(f"more than {options.limit:g} per 1,000 words", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
