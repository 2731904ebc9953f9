"""The command line of a run: masks passwords, keys and tokens, and says whether it runs a script."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from lightning_lite.masking import MASK, mask

#: Programs that run an app, but do not run it again when they are started again.
_INTERACTIVE = ("ipykernel", "ipykernel_launcher", "IPython", "jupyter", "pytest")

#: Last word of a name whose value is a secret: `X-Authorization`, `--bearer`.
_SECRET_WORDS = {
    "apikeys",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "passcode",
    "passwords",
}

#: Ends of such words: `--db-password`, `clientsecret`.
_SECRET_ENDS = ("passphrase", "passwd", "password", "secret")

#: Services with keys and tokens: `--openai-key`, `HF_TOKEN`.
_SERVICES = {"anthropic", "aws", "azure", "cohere", "comet", "datadog", "deepseek", "gemini", "gh"} | {
    "github", "gitlab", "groq", "hf", "huggingface", "kaggle", "mistral", "neptune", "openai", "openrouter",
    "pinecone", "pypi", "replicate", "sendgrid", "sentry", "slack", "stripe", "tavily", "twilio", "wandb",
}  # fmt: skip

#: Words before `key` that make it a secret. `--sort-key` and `--key` are left alone.
_KEY_WORDS = _SERVICES | {
    "access", "account", "api", "auth", "encryption", "license", "master", "private", "secret", "signing",
}  # fmt: skip

#: Words before `token` that make it a secret. Most other tokens are parts of a text: `--pad-token`.
_TOKEN_WORDS = _SERVICES | {
    "access", "api", "auth", "bearer", "bot", "csrf", "deploy", "hub", "id", "jwt", "login", "oauth",
    "personal", "refresh", "secret", "security", "session", "user",
}  # fmt: skip

#: Words before `pass` and `pwd` that make them a password. `--first-pass` and `--low-pass` are left alone.
_PASS_WORDS = {
    "account", "admin", "auth", "basic", "db", "database", "email", "ftp", "git", "http", "https", "imap",
    "key", "keystore", "ldap", "login", "mail", "master", "mongo", "mqtt", "my", "mysql", "pg", "postgres",
    "proxy", "redis", "registry", "root", "service", "sftp", "smtp", "sql", "ssh", "sudo", "user", "vpn",
    "wifi",
}  # fmt: skip

#: The same without a separator: `--hftoken`, `--accesskey`, `--dbpass`.
_JOINED_WORDS = {f"{word}key" for word in _KEY_WORDS} | {f"{word}token" for word in _TOKEN_WORDS} | {
    f"{word}{end}" for word in _PASS_WORDS for end in ("pass", "pwd")
}  # fmt: skip

#: Plurals: `--api-keys a,b`. `--max-tokens` is a number, so `tokens` needs one of a few words before it.
_PLURAL_TOKEN_WORDS = {"access", "api", "auth", "bearer"}

#: First words of a name that switches something on or off, and has no value: `--ask-password`.
_SWITCH_WORDS = {"ask", "disable", "enable", "hide", "no", "prompt", "show", "skip", "use", "with", "without"}

#: Names whose value is often the path of a file with the secret.
_FILE_WORDS = {"cookie", "credential", "credentials"}
_FILE_KEYS = ("encryptionkey", "licensekey", "privatekey", "signingkey")

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

#: Between the parts of a name: `model.token`.
_PARTS = re.compile(r"[./@]")

_NAME = r"(?P<name>[A-Za-z][\w.\-]*)"

#: An option without its value; `-p` and the like are left alone, because they mean too many things.
_OPTION = re.compile(r"--?([A-Za-z][\w.\-]{2,})")

#: An option and not the value of the one before; a value may begin with a dash: `-----BEGIN KEY-----`.
_NEXT_OPTION = re.compile(r"--(?:[A-Za-z]|$)")

#: Name and value in one argument: `--password=x`, `model.api_key=x`, `X-Api-Key: x`.
_ASSIGNMENT = re.compile(
    r"[-+~]*(?P<name>[A-Za-z][\w.\-/@]*)\s*(?P<sign>[=:])\s*(?!//)(?P<value>.+)", re.DOTALL
)

#: Names before one value: `--env=API_KEY=x` has two.
_MAX_NAMES = 4

#: The password in `scheme://user:password@host`.
_URL_PASSWORD = re.compile(r"(://[^\s/:@?#]*:)([^\s/?#]+)(?=@)")

# The patterns below are compiled when an argument needs them: all of them would take 5 ms of each start.

#: Name of a header whose value is a secret; a colon after another name may be part of a text or a ratio.
_HEADER = (
    r"(?i:(?:proxy-)?authorization|(?:set-)?cookie|api-key|private-token"
    r"|x-(?:.*-)?(?:key|token|authorization))"
)

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_NO_TEXT = r"[\[{(]|(?i:null|none|true|false)\s*(?:[,)\]}]|$)"
_NEXT_ITEM = r""",\s*["']?[\w.\-]+["']?\s*[=:]"""
_ITEM_VALUE = rf"{_QUOTED}|(?!{_NO_TEXT})(?:(?!{_NEXT_ITEM})[^\])}}])+"

#: The text before a value in a list, and the value.
_PARAMETER = rf"[?&#]{_NAME}=", r"[^&#;\s]+"
_SETTING = rf"(?:^|(?<=[;=]))\s*{_NAME}=", rf'{_QUOTED}|[^;"]+|"[^;]*'
_WORD_OF_TEXT = rf"(?<=\s)-{{0,2}}{_NAME}=", rf"{_QUOTED}|\S+"
_ITEM = rf"""(?<=[,{{(\[])\s*["']?{_NAME}=""", _ITEM_VALUE
_ITEM_OF_DICT = rf"""(?<=[,{{])\s*(?P<quote>["']?){_NAME}(?P=quote)\s*:\s*""", _ITEM_VALUE

#: Characters of the path of a file, and its usual endings.
_PATH = r"""(?:[A-Za-z]:(?=[\\/])|\w+://)?[^\s{};="':]+"""
_PATH_ENDS = (".pem", ".json", ".txt", ".key", ".p12", ".pfx", ".yaml", ".yml", ".toml", ".ini", ".der")

#: A long text that only looks like a path, because Base64 has slashes.
_BASE64 = r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z\d+/]{32,}"

#: The value of `--auth`, if it is not the name of a method.
_USER_PASSWORD = r"(?s)[^\s:=]*:(?!//).+|(?i:basic|bearer|digest|token)\s.+"

#: `--pass 2` is a number of passes.
_SMALL_NUMBER = r"\d{1,4}"


def starts_script(command: Sequence[str]) -> bool:
    """Return whether a command runs a script, so that the same command runs the same app again.

    Example:
        >>> starts_script(["python", "-u", "app.py"]), starts_script(["python", "-u", "-c", "..."])
        (True, False)
    """
    if any(os.path.basename(word) in _INTERACTIVE for word in command):
        return False
    words = iter(command[1:])
    for word in words:
        if not word.startswith("-") or word == "-m":
            return True
        if word in ("-X", "-W"):
            next(words, None)  # the value of the option
        elif word == "-" or (not word.startswith(("--", "-X", "-W")) and {"c", "i"} & set(word)):
            return False
    return False


def mask_command(command: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return a command line without its secrets, and the positions of the arguments that were changed.

    An argument is masked if the name of its option ends in `password`, `token`, `api-key` and the like, if it
    has a URL with a password, or if it contains the text of a `Secret` that was made before.

    Args:
        command: The program and its arguments.

    Example:
        >>> mask_command(["train.py", "--token", "abc", "--rate=1", "-p", "80", "ftp://me:pw@host/"])
        (['train.py', '--token', '**********', '--rate=1', '-p', '80', 'ftp://me:**********@host/'], [2, 6])
    """
    shown = []
    name = ""  # of the option before
    for word in command:
        is_value = bool(name) and _NEXT_OPTION.match(word) is None and _is_secret(name, word)
        shown.append(MASK if is_value else _mask_argument(word))
        option = _OPTION.fullmatch(word)
        name = option[1] if option is not None else ""
    return shown, [place for place, word in enumerate(command) if shown[place] != word]


def _mask_argument(word: str) -> str:
    start = 0
    for _ in range(_MAX_NAMES):
        assigned = _ASSIGNMENT.fullmatch(word, start)
        if assigned is None:
            break
        start = assigned.start("value")
        is_secret = _is_secret if assigned["sign"] == "=" else _is_secret_header
        if is_secret(assigned["name"], assigned["value"]):
            return mask(word[:start]) + MASK
    word = _URL_PASSWORD.sub(rf"\g<1>{MASK}", word)
    if "=" in word:
        for characters, patterns in (
            ("?&#", _PARAMETER),
            (";", _SETTING),
            (" \t\r\n", _WORD_OF_TEXT),
            (",{([", _ITEM),
        ):
            if any(character in word for character in characters):
                word = _mask_values(word, *patterns)
    if "{" in word:
        word = _mask_values(word, *_ITEM_OF_DICT)
    return mask(word)


def _mask_values(word: str, before: str, value: str) -> str:
    """Return an argument with the secrets among the values of a list masked, without their quotes.

    Args:
        word: The argument.
        before: Pattern of the text before a value, with its name.
        value: Pattern of the value; matched only after the name of a secret, so that long lists take linear
            time.
    """
    search = re.compile(before).search
    parts: list[str] = []
    place = done = 0
    while (named := search(word, place)) is not None:
        place = named.end()
        name = named["name"]  # a setting of a connection has `Pwd`, which is a folder elsewhere
        is_password = before is _SETTING[0] and name.lower() == "pwd"
        if not (is_password or _names_secret(name)) or word.startswith(MASK, place):
            continue
        found = re.compile(value).match(word, place)
        if found is None:
            continue
        place = found.end()
        is_quoted = len(found[0]) > 1 and found[0][0] in "\"'" and found[0][-1] == found[0][0]
        begin, end = found.start() + is_quoted, found.end() - is_quoted
        if begin < end and (is_password or _is_secret(name, word[begin:end])):
            parts += word[done:begin], MASK
            done = end
    return "".join((*parts, word[done:]))


def _is_secret(name: str, value: str) -> bool:
    """Return whether the value of an option or a variable with this name is a secret.

    Example:
        >>> names = ("api_key", "max-tokens", "dbPassword", "pad-token", "no-token", "pass")
        >>> [name for name in names if _is_secret(name, "abc")]
        ['api_key', 'dbPassword', 'pass']
        >>> _is_secret("pass", "2"), _is_secret("private-key", "id.pem"), _is_secret("auth", "me:pw")
        (False, False, True)
    """
    return _names_secret(name) and not _is_other_value(name, value)


def _names_secret(name: str) -> bool:
    """Return whether an option or a variable with this name may have a secret as its value."""
    words = _words(name)
    if not words or words[0] in _SWITCH_WORDS:
        return False
    last = words[-1]
    before = words[-2] if words[1:] else ""
    if last in ("key", "keys"):
        return before in _KEY_WORDS
    if last in ("token", "pass"):
        if len(_words(_PARTS.split(name)[-1])) == 1:  # `model.token` is a `token`
            return True
        return before in (_TOKEN_WORDS if last == "token" else _PASS_WORDS)
    if last == "tokens":
        return before in _PLURAL_TOKEN_WORDS
    if last == "pwd":
        return before in _PASS_WORDS
    return last in _SECRET_WORDS or last in _JOINED_WORDS or last.endswith(_SECRET_ENDS)


def _is_other_value(name: str, value: str) -> bool:
    """Return whether a value is not a secret, although its name looks like the name of a secret."""
    words = _words(name)
    last = words[-1]
    if last == "pass":
        return not _PASS_WORDS.intersection(words[-2:-1]) and re.fullmatch(_SMALL_NUMBER, value) is not None
    if last == "auth":
        return re.fullmatch(_USER_PASSWORD, value) is None
    names_file = last in _FILE_WORDS or "".join(words[-2:]).endswith(_FILE_KEYS)
    return names_file and _is_path(value)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _is_secret_header(name: str, value: str) -> bool:
    """Return whether `value` is a secret after `name` and a colon."""
    if re.fullmatch(_HEADER, name) is None:
        return False
    return "=" in value or not name.lower().endswith("cookie")  # else a text: `cookie: how to bake it`


def _is_path(value: str) -> bool:
    """Return whether a value is the path of a file, as it looks or because there is one."""
    may_be_path = "/" in value or value.lower().endswith(_PATH_ENDS)
    if may_be_path and re.fullmatch(_PATH, value) is not None and re.fullmatch(_BASE64, value) is None:
        return True
    return os.path.exists(value)
