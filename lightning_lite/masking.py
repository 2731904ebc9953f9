"""Replaces the texts of secrets by asterisks: in output, messages and pickled data.

A process registers the texts of the secrets that it knows. A text is found as it is, and in the forms that
`repr`, JSON, URLs and the single lines of a longer text give it.
"""

from __future__ import annotations

from _json import encode_basestring_ascii  # json itself would cost each work some milliseconds

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning_lite.messages import Failure

#: Shown in place of a secret.
MASK = "**********"

#: Number of characters from which on a text is searched for: a shorter one occurs in too many other words.
MIN_LENGTH = 6

_MASK = MASK.encode()
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

#: The registered texts, in order.
_texts: dict[str, None] = {}

#: Their forms, the longest first: a secret may contain another one.
_forms: tuple[str, ...] = ()
_byte_forms: tuple[bytes, ...] = ()


def register(text: str) -> None:
    """Replace `text` from now on, unless it has fewer than `MIN_LENGTH` characters.

    The whitespace at its begin and end does not count: the text of a file often ends with a newline, and a
    form with it would replace newlines of the output, too, and hold back each line of it.
    """
    text = text.strip()
    if text in _texts or len(text) < MIN_LENGTH:
        return
    _texts[text] = None
    while True:
        texts = list(_texts)
        _set_forms(texts)
        if len(_texts) == len(texts):  # else another thread has added one, and its forms may be replaced
            return


def mask(text: str) -> str:
    """Return `text` with `MASK` in place of each registered text.

    Example:
        >>> register("correct horse")
        >>> mask("the password is 'correct horse', GET /?key=correct%20horse")
        "the password is '**********', GET /?key=**********"
    """
    for form in _forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


def mask_pickled(data: bytes) -> bytes:
    """Return pickled data with as many asterisks in place of each registered text.

    The size of each text is part of the pickle, so it stays the same.

    Example:
        >>> import pickle
        >>> register("battery staple")
        >>> pickle.loads(mask_pickled(pickle.dumps(["a", "battery staple"])))
        ['a', '**************']
    """
    for form in _byte_forms:
        if form in data:
            data = data.replace(form, b"*" * len(form))
    return data


def mask_failure(failure: Failure) -> Failure:
    """Return a failure of a work with its texts masked."""
    if not _forms:
        return failure
    return failure._replace(
        message=mask(failure.message),
        traceback=mask(failure.traceback),
        error=None if failure.error is None else mask_pickled(failure.error),
    )


class OutputMask:
    r"""Masks the output of a process, chunk by chunk; a chunk may end inside a secret.

    Example:
        >>> register("s3cr3t-key")
        >>> output = OutputMask()
        >>> output.feed(b"the key: s3cr"), output.feed(b"3t-key\nline\n"), output.finish()
        (b'the key: ', b'**********\nline\n', b'')
    """

    def __init__(self) -> None:
        # The end of the output, which is the beginning of a secret; its first bytes may have been returned.
        self._tail = b""
        self._num_returned = 0

    @property
    def can_release(self) -> bool:
        """Whether `release` would return something."""
        return self._num_returned < len(self._tail) < MIN_LENGTH

    def feed(self, data: bytes) -> bytes:
        """Return the output so far, without an end that may be the beginning of a secret."""
        if not _byte_forms and not self._tail:
            return data
        data = self._tail + data
        parts: list[bytes] = []
        place = self._num_returned
        last = 0
        for start, end in _find(data):
            last = end
            if end > place:
                parts += data[place:start], _MASK  # the first is empty if the secret began in an earlier part
                place = end
        held = _begin_of_secret(data, last)
        parts.append(data[place:held])
        self._tail = data[held:]
        self._num_returned = max(0, place - held)
        return b"".join(parts)

    def release(self) -> bytes:
        """Return what is held back, unless it is so long that it would show a part of a secret."""
        if not self.can_release:
            return b""
        released, self._num_returned = self._tail[self._num_returned :], len(self._tail)
        return released

    def finish(self) -> bytes:
        """Return the rest of the output, which has ended; the beginning of a secret is masked, too."""
        tail, self._tail = self._tail, b""
        num_returned, self._num_returned = self._num_returned, 0
        return tail[num_returned:] if len(tail) < MIN_LENGTH else _MASK


def _set_forms(texts: list[str]) -> None:
    global _forms, _byte_forms
    forms = {form for text in texts for form in _forms_of(text) if len(form) >= MIN_LENGTH}
    encoded = {data for form in forms for data in _encodings_of(form)}
    _forms = tuple(sorted(forms, key=len, reverse=True))
    _byte_forms = tuple(sorted(encoded, key=len, reverse=True))


def _forms_of(text: str) -> Iterator[str]:
    """Yield a text, its single lines, and both as other programs write them.

    No form begins or ends with whitespace, because neither does the text.
    """
    lines = [line.strip() for line in text.splitlines()]
    for part in (text, *lines) if lines[1:] else (text,):
        yield part
        yield repr(part)[1:-1]
        yield ascii(part)[1:-1]
        yield encode_basestring_ascii(part)[1:-1]
        for data in _encodings_of(part):
            yield repr(data)[2:-1]
            yield "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _encodings_of(text: str) -> Iterator[bytes]:
    """Yield a text as bytes: as a program prints it, and as pickle writes it if that is different."""
    yield text.encode("utf-8", "surrogatepass")
    try:
        yield text.encode("utf-8", "surrogateescape")  # bytes of the environment that are not UTF-8
    except UnicodeEncodeError:
        pass


def _find(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each secret in `data`, in order."""
    forms = [form for form in _byte_forms if form in data]
    place = 0
    while forms:
        found = [(start, form) for form in forms if (start := data.find(form, place)) >= 0]
        if not found:
            return
        start, form = min(found, key=lambda one: (one[0], -len(one[1])))
        place = start + len(form)
        yield start, place


def _begin_of_secret(data: bytes, after: int) -> int:
    """Return the first place from `after` on from which all of `data` is the beginning of a secret."""
    found = len(data)
    for form in _byte_forms:
        place = data.find(form[:1], max(after, len(data) - len(form) + 1))
        while 0 <= place < found:
            if form.startswith(data[place:]):
                found = place
                break
            place = data.find(form[:1], place + 1)
    return found
