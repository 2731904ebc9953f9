"""Replaces the texts of secrets by asterisks in the output of a process."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_lite import masking

_MASK = masking.MASK.encode()


class OutputMask:
    r"""Masks the output of a process, chunk by chunk; a chunk may end inside a secret.

    Example:
        >>> masking.register("s3cr3t-key")
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
        return self._num_returned < len(self._tail) < masking.MIN_LENGTH

    def feed(self, data: bytes) -> bytes:
        """Return the output so far, without an end that may be the beginning of a secret."""
        if not masking.byte_forms and not self._tail:
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
        """Return the bytes that are held back, unless so many that they would show a part of a secret."""
        if not self.can_release:
            return b""
        released, self._num_returned = self._tail[self._num_returned :], len(self._tail)
        return released

    def finish(self) -> bytes:
        """Return the rest of the output, which has ended; the beginning of a secret is masked, too."""
        tail, self._tail = self._tail, b""
        num_returned, self._num_returned = self._num_returned, 0
        return tail[num_returned:] if len(tail) < masking.MIN_LENGTH else _MASK


def _find(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each secret in `data`, in order."""
    forms = [form for form in masking.byte_forms if form in data]
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
    for form in masking.byte_forms:
        place = data.find(form[:1], max(after, len(data) - len(form) + 1))
        while 0 <= place < found:
            if form.startswith(data[place:]):
                found = place
                break
            place = data.find(form[:1], place + 1)
    return found
