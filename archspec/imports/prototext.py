"""Protobuf's text format, in which Caffe's networks are written: messages of named fields.

It is read without a schema: a field may repeat, and what type it has is asked of it later. Nothing
here knows Caffe.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

from archspec.imports.modeltext import TextProblem

_Kind = TypeVar("_Kind")

DEEPEST: Final = 32
"""Largest number of messages inside each other; Caffe's own go to five."""

MOST_FIELDS: Final = 1_000_000
"""Largest number of fields of a file."""

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r\f\v]+|\#[^\n]*)
    |(?P<line>\n)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[fF]?)
    |(?P<text>"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+')
    |(?P<sign>[{}<>:;,\[\]-])""",
    re.VERBOSE,
)

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


class Scalar(NamedTuple):
    """A number, a word such as `true` or `MAX`, or a text, as it is written."""

    text: str
    line: int


class Message:
    """Named fields in the order of the text."""

    def __init__(self, line: int) -> None:
        self.line = line
        """The line on which it begins, counted from 1."""
        self.fields: list[tuple[str, Scalar | Message]] = []

    def __contains__(self, name: str) -> bool:
        return any(field == name for field, _ in self.fields)

    def messages(self, name: str) -> list["Message"]:
        """Return the messages of a repeated field."""
        values = [value for field, value in self.fields if field == name]
        return [self._expect(name, value, Message) for value in values]

    def message(self, name: str) -> "Message":
        """Return the message of a field; an empty one where it is absent.

        If the field stands several times, the messages are merged, as protobuf does.
        """
        found = self.messages(name)
        merged = Message(found[0].line if found else self.line)
        for each in found:
            merged.fields += each.fields
        return merged

    def words(self, name: str) -> list[str]:
        """Return the texts or words of a repeated field."""
        return [scalar.text for scalar in self._scalars(name)]

    def word(self, name: str, default: str = "") -> str:
        """Return the text or word of a field; of several, the last, as protobuf does."""
        return (self.words(name) or [default])[-1]

    def integers(self, name: str) -> list[int]:
        """Return the whole numbers of a repeated field."""
        return [self._integer(name, scalar) for scalar in self._scalars(name)]

    def integer(self, name: str, default: int = 0) -> int:
        """Return the whole number of a field."""
        return (self.integers(name) or [default])[-1]

    def real(self, name: str, default: float = 0.0) -> float:
        """Return the number of a field."""
        return (self.reals(name) or [default])[-1]

    def reals(self, name: str) -> list[float]:
        """Return the numbers of a repeated field."""
        return [self._real(name, scalar) for scalar in self._scalars(name)]

    def flag(self, name: str, *, default: bool) -> bool:
        """Return the truth value of a field."""
        for scalar in reversed(self._scalars(name)):
            if scalar.text in {"true", "True", "t", "1"}:
                return True
            if scalar.text in {"false", "False", "f", "0"}:
                return False
            raise TextProblem(scalar.line, f"`{name}` must be true or false, not {scalar.text!r}")
        return default

    def _scalars(self, name: str) -> list[Scalar]:
        return [self._expect(name, value, Scalar) for field, value in self.fields if field == name]

    @staticmethod
    def _expect(name: str, value: "Scalar | Message", kind: type[_Kind]) -> _Kind:
        if not isinstance(value, kind):
            raise TextProblem(
                value.line,
                f"`{name}` must be "
                + ("a message, as `{ ... }`" if kind is Message else "a value, not a message"),
            )
        return value

    @staticmethod
    def _integer(name: str, scalar: Scalar) -> int:
        # As long as a 64-bit number is: Python takes time to read a long one.
        if len(scalar.text) <= 20 and re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|\d+)", scalar.text):
            return int(scalar.text, 16 if "x" in scalar.text.lower() else 10)
        raise TextProblem(scalar.line, f"`{name}` must be a whole number, not {scalar.text[:40]!r}")

    @staticmethod
    def _real(name: str, scalar: Scalar) -> float:
        try:
            return float(re.sub(r"(?<=[\d.])[fF]$", "", scalar.text))
        except ValueError:
            message = f"`{name}` must be a number, not {scalar.text[:40]!r}"
            raise TextProblem(scalar.line, message) from None


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def parse(text: str) -> Message:
    """Return the message that a text holds.

    Args:
        text: Fields such as `name: "conv1"` and `pooling_param { pool: MAX }`.

    Raises:
        TextProblem: It is not in protobuf's text format, or larger than archspec reads.
    """
    tokens = _tokens(text)
    top = Message(1)
    open_: list[tuple[Message, str]] = [(top, "")]
    count = 0
    token = next(tokens)
    while token.kind != "end" or len(open_) > 1:
        message, closer = open_[-1]
        if token.text == closer and token.kind == "sign":
            open_.pop()
            token = _after_separator(tokens)
            continue
        if token.kind != "word":
            raise _unexpected(token, "the name of a field", closer, message.line)
        name, token = token.text, next(tokens)
        count += 1
        if count > MOST_FIELDS:
            raise TextProblem(token.line, f"more than {MOST_FIELDS:,} fields")
        if token.text == ":" and token.kind == "sign":
            token = next(tokens)
        elif token.text not in {"{", "<"}:
            raise _unexpected(token, f"`:` after `{name}`", closer, message.line)
        if token.kind == "sign" and token.text in {"{", "<"}:
            inner = Message(token.line)
            message.fields.append((name, inner))
            open_.append((inner, "}" if token.text == "{" else ">"))
            if len(open_) > DEEPEST:
                raise TextProblem(token.line, f"more than {DEEPEST} messages inside each other")
            token = next(tokens)
        elif token.kind == "sign" and token.text == "[":
            token = next(tokens)
            while token.text != "]" or token.kind != "sign":
                scalar, token = _scalar(token, tokens, name)
                message.fields.append((name, scalar))
                if token.text == ",":
                    token = next(tokens)
            token = _after_separator(tokens)
        else:
            scalar, token = _scalar(token, tokens, name)
            message.fields.append((name, scalar))
            if token.kind == "sign" and token.text in {",", ";"}:
                token = next(tokens)
    return top


def _after_separator(tokens: Iterator[_Token]) -> _Token:
    """Return the next token that is not the separator that may stand after a field."""
    token = next(tokens)
    return next(tokens) if token.kind == "sign" and token.text in {",", ";"} else token


def _scalar(token: _Token, tokens: Iterator[_Token], name: str) -> tuple[Scalar, _Token]:
    """Return the value that begins with a token, and the token after it."""
    line, parts = token.line, []
    if token.kind == "text":  # texts that follow each other are one
        while token.kind == "text":
            parts.append(_unescaped(token.text[1:-1]))
            token = next(tokens)
        return Scalar("".join(parts), line), token
    sign = ""
    if token.text == "-" and token.kind == "sign":
        sign, token = "-", next(tokens)
    if token.kind not in {"word", "number"}:
        raise _unexpected(token, f"a value for `{name}`", "", line)
    return Scalar(sign + token.text, line), next(tokens)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)


def _unexpected(token: _Token, wanted: str, closer: str, since: int) -> TextProblem:
    if token.kind == "end":
        message = f"the text ends inside a message that begins on line {since}"
        return TextProblem(token.line, message, help=f"`{closer}` is missing" if closer else None)
    return TextProblem(token.line, f"expected {wanted}, not {token.text[:40]!r}")


def _tokens(text: str) -> Iterator[_Token]:
    """Yield the tokens of a text, then one of kind `end` for as long as one is asked for."""
    place, line = 0, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise TextProblem(line, f"{text[place]!r} is not expected here")
        place = match.end()
        if match.lastgroup == "line":
            line += 1
        elif match.lastgroup != "blank":
            yield _Token(str(match.lastgroup), match[0], line)
    while True:
        yield _Token("end", "", line)
