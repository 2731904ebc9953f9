"""Count unclear words and clauses in comments, docstrings, messages and pages, per 1,000 words.

Usage: python tools/plain_english.py [--limit RATE] [--verbose] [FILE OR FOLDER ...]

Two kinds count: literary words, and relative clauses without a noun, as in `return what was asked for`.
Questions do not count, nor do titles and indirect questions, as in `say what to do`. Of tests and JavaScript,
only comments and docstrings are read. It prints the rate and the files that have most finds, and exits with 1
if the rate is above the limit.
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

_WORDS = [
    *("whoever", "whatever", "somebody", "nobody", "everybody", "anybody", "anew", "amid", "meanwhile"),
    *("beside", "affair", "hitherto", "thereby", "tell", "tells", "told"),
]

#: Words that plain technical English does without; each hides the noun that a reader needs.
LITERARY = re.compile(rf"\b({'|'.join(_WORDS)}|(?:is|are) to be)\b", re.IGNORECASE)

#: The beginning of a clause, but not the name of a parameter, not `what to do`, not the title of a section, a
#: table, a paragraph or a link, and no `who` after a word for people.
CLAUSE = re.compile(
    r"(?<![\w.-])(?<!# )(?<!\| )(?<!\*\*)(?<!\[)"
    r"(?:what|(?P<people>(?:users?|person|people|members?|others|owner|readers?),? )?who)(?![\w:=-]| to\b)",
    re.IGNORECASE,
)

#: The words before an indirect question: a verb or noun of asking or knowing, and at most two others.
ASKING = re.compile(
    r"\b(?:(?:ask|check|compare|decide|define|depend|describe|determine|document|explain|guess|know|learn|look"
    r"|matter|note|question|report|say|see|show|specify|state|test|finds? out)(?:s|es|d|ed|n|ing)?"
    r"|said|saw|knew|found out)(?:,? [\w'/-]+){0,2},? $",
    re.IGNORECASE,
)

#: The words before a further part of an indirect question, as in `which work has failed, and what`.
FURTHER = re.compile(
    r"\b(?:which|what|who|where|when|how|why|whether)\b[^;:]*(?:,|\band|\bor|\bnor) $", re.IGNORECASE
)

_CODE_IN_PAGE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_CODE_IN_TEXT = re.compile(r"`[^`\n]+`")
_SCRIPT_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\w])//[^\n]*", re.DOTALL)
_SENTENCE = re.compile(r"[^.?!]+[.?!]*")

#: A text of fewer words is a name or a key, not a message.
_LEAST_WORDS = 5


def finds(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each unclear word, and of each clause without a noun."""
    for match in LITERARY.finditer(text):
        yield match.span()
    for sentence in _SENTENCE.finditer(text):
        if sentence[0].endswith("?"):
            continue
        for match in CLAUSE.finditer(text, *sentence.span()):
            before = text[sentence.start() : match.start()]
            if match["people"] is None and not ASKING.search(before) and not FURTHER.search(before):
                yield match.span()


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment, docstring and message, or of each paragraph of a page."""
    source = path.read_text("utf-8")
    match path.suffix:
        case ".md":
            yield from _prose_of_page(source)
        case ".js":
            for comment in _SCRIPT_COMMENT.finditer(source):
                yield source.count("\n", 0, comment.start()) + 1, " ".join(comment[0].strip("/* ").split())
        case _:
            for line, text in _prose_of_module(source, with_messages="tests" not in path.parts):
                yield line, _CODE_IN_TEXT.sub("x", text)


def _prose_of_page(source: str) -> Iterator[tuple[int, str]]:
    line = 1
    without_code = _CODE_IN_PAGE.sub(lambda code: "x" + "\n" * code[0].count("\n"), source)
    for paragraph in re.split(r"(\n\s*\n)", without_code):
        yield line, " ".join(paragraph.split())
        line += paragraph.count("\n")


def _prose_of_module(source: str, *, with_messages: bool) -> Iterator[tuple[int, str]]:
    comments: list[tuple[int, str]] = []  # a comment of several lines is one text
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comment, line = token.string.lstrip("#: "), token.start[0]
            if comments and line == last + 1:
                comments[-1] = comments[-1][0], f"{comments[-1][1]} {comment}"
            else:
                comments.append((line, comment))
            last = line
    yield from comments
    tree = ast.parse(source)
    documented: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text is not None and isinstance(node.body[0], ast.Expr):
                documented.add(node.body[0].value)
                for paragraph in text.split("\n\n"):
                    yield node.body[0].lineno, " ".join(paragraph.split())
    for node in ast.walk(tree) if with_messages else ():
        if isinstance(node, ast.JoinedStr):
            documented.update(node.values)
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented:
            text = node.value
        else:
            continue
        if len(text.split()) >= _LEAST_WORDS and "\n" not in text.strip():
            yield node.lineno, text


def files_in(path: Path) -> list[Path]:
    """Return the modules, pages and scripts in a folder, without vendored code; or the file itself."""
    if path.is_file():
        return [path]
    found = (file for suffix in ("py", "md", "js") for file in path.rglob(f"*.{suffix}"))
    return sorted(file for file in found if not {"vendor", "_build"} & {*file.parts})


def main() -> int:
    """Print the rate and the worst files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    folders = [Path(name) for name in ("lightning_lite", "docs", "examples", "tools", "benchmarks", "tests")]
    parser.add_argument("paths", nargs="*", type=Path, default=[*folders, *Path().glob("*.md")])
    parser.add_argument("--limit", type=float, default=0.3, help="most finds per 1,000 words (default: 0.3)")
    parser.add_argument("--verbose", action="store_true", help="print each place")
    options = parser.parse_args()

    num_words, found = 0, []
    for file in (file for path in options.paths for file in files_in(path)):
        for line, text in prose(file):
            num_words += len(text.split())
            found += [
                (file, line, " ".join(text[max(0, start - 60) : end + 40].split()))
                for start, end in finds(text)
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
