"""Count unclear words and clauses in comments, docstrings, messages and pages, per 1,000 words.

Usage: python tools/plain_english.py [--limit RATE] [--verbose] [FILE OR FOLDER ...]

Two kinds count: literary words, and relative clauses without a noun, as in "return what was asked for". It
prints the rate and the files that have most of them, and exits with 1 if the rate is above the limit.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

#: Words that plain technical English does without; each hides the noun that a reader needs.
LITERARY = re.compile(
    r"\b(whoever|whatever|somebody|nobody|anew|amid|meanwhile|beside|affair|hitherto|thereby|told|tells?"
    r"|is to be|are to be)\b",
    re.IGNORECASE,
)

_BEFORE = (
    "add adds all and are at but by close closes collect collects contain contains count counts "
    "delete deletes end ends except for forget forgets from get gets give gives hold holds in "
    "into is keep keeps like lose loses make makes mask masks need needs of on or pass passes "
    "print prints put puts read reads remove removes replace replaces restore restores return "
    "returns run runs send sends store stores take takes than to undo undoes use uses was with "
    "write writes"
)

#: "what" or "who" where a noun is missing: at the start of a sentence, or after a preposition or a verb that
#: needs an object. Questions, also indirect ones ("say what happened", "what to do"), are not meant.
NOUNLESS = re.compile(
    rf"(?:(?:^|[.:;(]\s+)|\b(?:{_BEFORE.replace(' ', '|')})\s+)(?:what|who)\b(?!\s+to\b)(?![^.?!]*\?)",
    re.IGNORECASE,
)

_CODE_IN_PAGE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)

#: A text of fewer words is a name or a key, not a message.
_LEAST_WORDS = 5


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment, docstring and message, or of each paragraph of a page."""
    source = path.read_text("utf-8")
    if path.suffix == ".md":
        line = 1
        without_code = _CODE_IN_PAGE.sub(lambda code: "x" + "\n" * code[0].count("\n"), source)
        for paragraph in re.split(r"(\n\s*\n)", without_code):
            yield line, " ".join(paragraph.split())
            line += paragraph.count("\n")
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")
    tree = ast.parse(source)
    documented: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text is not None and isinstance(node.body[0], ast.Expr):
                documented.add(node.body[0].value)
                for paragraph in text.split("\n\n"):
                    yield node.body[0].lineno, " ".join(paragraph.split())
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            documented.update(node.values)
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented:
            text = node.value
        else:
            continue
        if len(text.split()) >= _LEAST_WORDS and "\n" not in text.strip():
            yield node.lineno, text


def main() -> int:
    """Print the rate and the worst files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[Path("lightning_lite"), Path("docs"), *Path().glob("*.md")]
    )
    parser.add_argument("--limit", type=float, default=0.3, help="most finds per 1,000 words (default: 0.3)")
    parser.add_argument("--verbose", action="store_true", help="print each place")
    options = parser.parse_args()

    num_words, found = 0, []
    for path in options.paths:
        files = [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.md")])
        for file in files:
            for line, text in prose(file):
                num_words += len(text.split())
                for pattern in (LITERARY, NOUNLESS):
                    found += [
                        (file, line, " ".join(text[max(0, match.start() - 20) : match.end() + 30].split()))
                        for match in pattern.finditer(text)
                    ]
    rate = 1000 * len(found) / max(num_words, 1)
    if options.verbose:
        for file, line, text in sorted(found):
            print(f"{file}:{line}: {text}")
    print(f"{len(found)} finds in {num_words} words: {rate:.1f} per 1,000")
    for file, count in Counter(file for file, _, _ in found).most_common(10):
        print(f"{count:4} {file}")
    if rate > options.limit:
        print(f"more than {options.limit:g} per 1,000 words", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
