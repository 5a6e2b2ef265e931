"""Bodies: what is JSON, how big, how deep."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.errors import InferenceError, NotJson, TooLarge
from inference.strict_json import parse_input


def parse(body: bytes, max_bytes: int = 131_072, max_depth: int = 32) -> object:
    return parse_input(body, max_bytes, max_depth)


def error_of(body: bytes, **limits: int) -> type[InferenceError]:
    with pytest.raises(InferenceError) as error:
        parse(body, **limits)
    return error.type


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"text":"fine"}', {"text": "fine"}),
        (b" [1, 2.5, -0.0, 1e308]\n", [1, 2.5, -0.0, 1e308]),
        (b"null", None),
        ('"ü\u20ac\U0001f600"'.encode(), "ü\u20ac\U0001f600"),
        (b'"\\ud800"', "\ud800"),
        (b"1e-999", 0.0),
        (b"9" * 4000, int("9" * 4000)),
    ],
)
def test_json_is_read(body: bytes, value: object) -> None:
    assert parse(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"{",
        b'{"a":1}x',
        b"{'a':1}",
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"1e999",
        b"[-1e999]",
        b"9" * 5000,  # Python refuses to convert it, and so would the next reader
        b'"\xff"',
        b'"\xed\xa0\x80"',  # a surrogate in UTF-8
        b"\xef\xbb\xbf{}",  # a byte order mark
        b"\xff\xfe{\x00}\x00",
        b'"\n"',
    ],
)
def test_what_is_not_json(body: bytes) -> None:
    assert error_of(body) is NotJson


def test_the_limit_of_bytes_is_of_bytes_and_inclusive() -> None:
    body = '"ü"'.encode()
    assert len(body) == 4
    assert parse(body, max_bytes=4) == "ü"
    assert error_of(body, max_bytes=3) is TooLarge


def test_size_is_checked_before_anything_is_parsed() -> None:
    assert error_of(b"[" * 2_000_000) is TooLarge


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    assert parse(opening * 32 + b"1" + closing * 32) is not None
    assert error_of(opening * 33 + b"1" + closing * 33) is NotJson


def test_a_depth_that_breaks_the_parser_is_too_deep_too() -> None:
    with pytest.raises(NotJson, match="deeper than 32"):
        parse(b"[" * 60_000 + b"]" * 60_000)


def test_width_is_no_depth() -> None:
    assert parse(json.dumps([[1]] * 10_000).encode(), max_depth=2) is not None


@given(st.binary(max_size=60))
@example(b"-")
@example(b'{"":')
def test_any_bytes_give_a_value_or_are_not_json(body: bytes) -> None:
    try:
        value = parse(body)
    except NotJson:
        pass
    else:
        assert json.loads(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"9" * 5000, "A number in the input has more than 4,300 digits."),
        (b"\xef\xbb\xbf{}", "The input begins with a byte order mark (BOM); send it without one."),
        (b'"ab\xff"', "The input is not UTF-8: byte 4 can't be read."),
        (b'{"a":NaN}', "The input is not JSON: NaN is no JSON number."),
        (b"[1e999]", "The input is not JSON: 1e999 is too large for a number."),
        (b'{"a":\n 1,}', "The input is not JSON: "),
        (b'"\n"', "The input is not JSON: Invalid control character, in line 1, column 2."),
        (b"", "The input is not JSON: Expecting value, in line 1, column 1."),
        (b"[" * 40 + b"]" * 40, "The input is nested deeper than 32 levels."),
    ],
)
def test_a_rejection_speaks_json_and_not_python(body: bytes, told: str) -> None:
    with pytest.raises(NotJson) as error:
        parse(body)
    assert str(error.value).startswith(told)
    assert not re.search("sys|utf-8-sig|char |int|float|codec|None|True", str(error.value))


def test_what_is_too_large_is_told_the_way_out() -> None:
    with pytest.raises(TooLarge, match=r"6 bytes; at most 5 .*POST /uploads"):
        parse(b'"abcd"', max_bytes=5)


def test_an_image_of_90_kilobytes_in_base64_is_one_text() -> None:
    assert parse(b'"' + b"A" * 120_000 + b'"')
