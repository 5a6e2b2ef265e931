"""HTTP API events in, responses out."""

import base64
import json
from typing import Any

import pytest

from inference.errors import NotJson
from inference.http.messages import (
    ANONYMOUS,
    HttpRequest,
    InvalidIdempotencyKey,
    UnsupportedEncoding,
    UnsupportedMediaType,
    idempotency_key,
    read_body,
    read_event,
    require_json,
    respond,
)
from tests.events import golden


def request_with(**headers: str) -> HttpRequest:
    return read_event({"headers": {name.replace("_", "-"): value for name, value in headers.items()}})


def caller_of(authorizer: Any, by_session: bool = False) -> str:
    return read_event({"requestContext": {"authorizer": authorizer}}, by_session).caller


def test_a_predict_event() -> None:
    request = read_event(golden("http_predict"))
    assert request.route == "POST /predict"
    assert json.loads(read_body(request)) == {"text": "I love this airline, best crew ever"}
    assert (request.caller, request.path) == (ANONYMOUS, {})


def test_a_base64_event() -> None:
    assert read_body(read_event(golden("http_predict_base64"))) == b'{"text":"fine"}'


def test_a_path_with_a_parameter() -> None:
    request = read_event(golden("http_predict_model"))
    assert (request.route, request.path) == ("POST /predict/{model}", {"model": "sentiment"})
    assert "request_id" in read_event(golden("http_status")).path


@pytest.mark.parametrize("name", ["http_status", "http_cancel"])
def test_an_event_without_a_body(name: str) -> None:
    assert read_body(read_event(golden(name))) == b""


@pytest.mark.parametrize("body", ["%%%", "YQ", "YQ==YQ==", "ü", "Y Q="])
def test_what_is_not_base64_is_not_json(body: str) -> None:
    request = read_event({"body": body, "isBase64Encoded": True})
    with pytest.raises(NotJson, match="not valid base64"):
        read_body(request)


def test_a_body_that_is_no_text_stays_bytes() -> None:
    raw = bytes(range(256))
    assert read_body(read_event({"body": base64.b64encode(raw).decode(), "isBase64Encoded": True})) == raw


def test_a_nearly_empty_event_is_read() -> None:
    nothing = {"headers": None, "body": None, "pathParameters": None, "requestContext": {"authorizer": None}}
    request = read_event(nothing)
    assert request == HttpRequest("", {}, {}, {}, "", False, ANONYMOUS)


def test_header_names_are_in_lower_case() -> None:
    assert request_with(Content_Type="a").headers == {"content-type": "a"}


@pytest.mark.parametrize("size", [400, 2_000, 8_000])
def test_a_caller_is_a_key_of_the_index(size: int) -> None:
    claims = [{"iss": "https://issuer.example", "sub": sub * size} for sub in ("a", "b", "\U0001f600")]
    callers = [caller_of({"jwt": {"claims": each}}) for each in claims]
    assert len(set(callers)) == 3
    assert all(len(caller.encode()) <= 2_048 for caller in callers)
    assert caller_of({"jwt": {"claims": claims[0]}}) == callers[0]


def test_a_query() -> None:
    assert read_event(golden("http_requests")).query == {"limit": "50", "status": "pending,running"}
    assert read_event(golden("http_status")).query == {}


# Callers


SSO = "AWSReservedSSO_Admin_0123456789abcdef"


@pytest.mark.parametrize(
    ("arn", "by_role", "by_session"),
    [
        ("arn:aws:iam::123456789012:user/a", None, None),
        ("arn:aws:iam::123456789012:user/path/to/a", None, None),
        ("arn:aws:iam::123456789012:root", None, None),
        ("arn:aws:sts::123456789012:federated-user/a", None, None),
        ("arn:aws:sts::123456789012:assumed-role/R/botocore-session-1764000000", "R", "R/botocore-session-1764000000"),
        ("arn:aws:sts::123456789012:assumed-role/R/i-0123456789abcdef0", "R", "R/i-0123456789abcdef0"),
        ("arn:aws:sts::123456789012:assumed-role/R/a=b,c@d.e_f+g-h", "R", "R/a=b,c@d.e_f+g-h"),
        (f"arn:aws:sts::123456789012:assumed-role/{SSO}/me@example.com", SSO, f"{SSO}/me@example.com"),
        ("arn:aws:sts::123456789012:assumed-role/R/x", "R", "R/x"),
        ("arn:aws:sts::210987654321:assumed-role/R/x", "R", "R/x"),
        ("arn:aws-cn:sts::123456789012:assumed-role/R/x", "R", "R/x"),
        ("arn:aws-us-gov:sts::123456789012:assumed-role/R/x", "R", "R/x"),
        ("arn:aws-iso-b:sts::123456789012:assumed-role/R/x", "R", "R/x"),
        ("arn:aws-eusc:sts::123456789012:assumed-role/R/x", "R", "R/x"),
        ("arn:aws-cn:iam::123456789012:user/a", None, None),
        ("arn:aws:iam::123456789012:user/assumed-role/R/x", None, None),
    ],
)
def test_iam_principals(arn: str, by_role: str | None, by_session: str | None) -> None:
    start = arn.partition("assumed-role/")[0] + "assumed-role/"
    iam = {"userArn": arn, "accessKey": "AKIA1", "callerId": "x", "cognitoIdentity": None}
    assert caller_of({"iam": iam}) == f"iam:{arn if by_role is None else start + by_role}"
    assert caller_of({"iam": iam}, by_session=True) == f"iam:{arn if by_session is None else start + by_session}"


def test_a_principal_without_an_arn_is_its_key() -> None:
    assert caller_of({"iam": {"accessKey": "AKIA1"}}) == "iam:AKIA1"


@pytest.mark.parametrize("by_session", [False, True])
def test_users_of_one_cognito_role_are_told_apart(by_session: bool) -> None:
    def caller(identity: str, pool: str = "eu-west-1:p") -> str:
        cognito = {"amr": ["authenticated"], "identityId": identity, "identityPoolId": pool}
        arn = "arn:aws:sts::123456789012:assumed-role/Web/CognitoIdentityCredentials"
        return caller_of({"iam": {"userArn": arn, "cognitoIdentity": cognito}}, by_session)

    assert caller("eu-west-1:1") == "cognito:eu-west-1:p:eu-west-1:1"
    assert len({caller("eu-west-1:1"), caller("eu-west-1:2"), caller("eu-west-1:1", "eu-west-1:q")}) == 3


def test_a_tokens_subject_counts_with_its_issuer() -> None:
    first = caller_of({"jwt": {"claims": {"iss": "https://one", "sub": "a"}, "scopes": None}})
    assert first == "jwt:https://one:a"
    assert first != caller_of({"jwt": {"claims": {"iss": "https://two", "sub": "a"}}})


def test_a_key_counts_by_its_name() -> None:
    assert caller_of({"lambda": {"key_name": "web"}}) == "key:web"
    assert caller_of({"lambda": {"key_name": "web"}}, by_session=True) == "key:web"


@pytest.mark.parametrize(
    "authorizer",
    [
        *(None, {}, {"jwt": {}}, {"jwt": None}, {"iam": {}}, {"lambda": None}, {"lambda": {}}, {"lambda": {"a": 1}}),
        {"lambda": {"key_name": ""}},
    ],
)
def test_nobody_in_particular(authorizer: Any) -> None:
    assert caller_of(authorizer) == ANONYMOUS


# Headers


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "application/vnd.api+json;v=1",
        "application/x-www-form-urlencoded",
        "text/plain;charset=UTF-8",
        "",
    ],
)
def test_content_types_that_may_be_json(kind: str) -> None:
    require_json(request_with(Content_Type=kind))


def test_no_content_type() -> None:
    require_json(request_with())


@pytest.mark.parametrize("kind", ["text/html", "application/xml", "multipart/form-data; boundary=x", "json", "a" * 999])
def test_other_content_types_are_named(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType) as error:
        require_json(request_with(Content_Type=kind))
    assert len(str(error.value)) < 150


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip", "x" * 999])
def test_an_encoded_bodys_encoding_is_named(coding: str) -> None:
    with pytest.raises(UnsupportedEncoding) as error:
        require_json(request_with(Content_Type="application/json", Content_Encoding=coding))
    assert f"Content-Encoding is '{coding[:64].lower()}'" in str(error.value)


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_a_body_as_it_is(coding: str) -> None:
    require_json(request_with(Content_Encoding=coding))


@pytest.mark.parametrize("charset", ["iso-8859-1", "Latin-1", '"utf-16"', "utf-8-sig", ""])
def test_another_charset_is_named(charset: str) -> None:
    for kind in ("application/json", "text/plain", "application/vnd.api+json; v=1"):
        with pytest.raises(UnsupportedMediaType) as error:
            require_json(request_with(Content_Type=f"{kind}; Charset={charset}"))
        bare = charset.strip('"').lower()
        assert f"charset is '{bare}'" in str(error.value)


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"UTF-8"', "us-ascii", "ASCII"])
def test_utf8_and_ascii_are_charsets_of_json(charset: str) -> None:
    require_json(request_with(Content_Type=f"application/json;v=1; charset = {charset}"))


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("a", "a"),
        ("a" * 255, "a" * 255),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"quoted"; a=1', "quoted"),
        (r'"a\"b\\c"', r'a"b\c'),
        (' "a" ', "a"),
        ('"' + "a" * 255 + '"', "a" * 255),
        ("with space", "with space"),
        ('a"b', 'a"b'),
    ],
)
def test_keys_as_strings_of_rfc_8941_and_bare(header: str, key: str) -> None:
    assert idempotency_key(request_with(Idempotency_Key=header)) == key


def test_no_key() -> None:
    assert idempotency_key(request_with()) is None


@pytest.mark.parametrize(
    "key", ["", " ", "a" * 256, "ü", "a\tb", "a\nb", "\x7f", '""', '"a', '"a"b"', '"a" x', '"a","b"', r'"a\b"', '"ü"']
)
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        idempotency_key(request_with(Idempotency_Key=key))


# Responses


def test_a_response_is_json_and_not_cached() -> None:
    response = respond(202, {"a": "\ud800"}, {"Location": "/x"})
    assert response == {
        "statusCode": 202,
        "headers": {"content-type": "application/json", "cache-control": "no-store", "Location": "/x"},
        "body": '{"a": "\\ud800"}',
    }


def test_a_response_rejects_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        respond(200, {"a": float("nan")})
