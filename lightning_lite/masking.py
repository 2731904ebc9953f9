"""Replaces the texts of secrets by asterisks, in messages and pickled data.

A process registers the texts of the secrets that it knows. A text is found as it is, and in its
`secret_forms`. `runners.output.output_mask` does the same in the output of works.
"""

from __future__ import annotations

from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_lite.messages import Failure

#: Shown in place of a secret.
MASK = "**********"

#: Number of characters from which on a text is searched for: a shorter one occurs in too many other words.
MIN_LENGTH = 6

#: Imported by name, with the first text: most works have no secret.
_SECRET_FORMS = "lightning_lite.secret_forms"

#: The registered texts, in order.
_texts: dict[str, None] = {}

#: Their forms, the longest first: a secret may contain another one. Empty if no text is registered.
forms: tuple[str, ...] = ()
byte_forms: tuple[bytes, ...] = ()


def register(text: str) -> None:
    """Replace `text` from now on, unless it has fewer than `MIN_LENGTH` characters.

    The whitespace at its beginning and end does not count: the text of a file often ends with a newline, and
    a form with it would replace newlines of the output, too, and hold back each line of it.
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
    for form in forms:
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
    for form in byte_forms:
        if form in data:
            data = data.replace(form, b"*" * len(form))
    return data


def mask_failure(failure: Failure) -> Failure:
    """Return a failure of a work with its texts masked."""
    if not forms:
        return failure
    return failure._replace(
        message=mask(failure.message),
        traceback=mask(failure.traceback),
        error=None if failure.error is None else mask_pickled(failure.error),
    )


def _set_forms(texts: list[str]) -> None:
    global forms, byte_forms
    secret_forms = late_import(_SECRET_FORMS)
    found = {form for text in texts for form in secret_forms.forms_of(text) if len(form) >= MIN_LENGTH}
    encoded = {data for form in found for data in secret_forms.encodings_of(form)}
    forms = tuple(sorted(found, key=len, reverse=True))
    byte_forms = tuple(sorted(encoded, key=len, reverse=True))
