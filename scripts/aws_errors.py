"""Messages for botocore's errors in the commands: one line with the cause and the remedy."""

from botocore import exceptions

_OF_AWS = (exceptions.BotoCoreError, exceptions.ClientError)
_LOG_IN = "log in (`aws sso login`, `aws configure`), or set AWS_PROFILE to a profile that is logged in"

_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_INVALID_CODES = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch"}
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def describe_aws_error(error: Exception) -> str:
    """The line for a botocore error, or for an `Unavailable` that was caused by one."""
    text = " ".join(str(error).split())
    cause = error if isinstance(error, _OF_AWS) else error.__cause__
    match cause:
        case None:
            return text
        case exceptions.ConfigParseError():
            return f"the AWS file {cause.kwargs.get('path')} can't be parsed: correct it, or set AWS_CONFIG_FILE"
        case exceptions.ProfileNotFound() | exceptions.InvalidConfigError():
            return f"{text}: correct AWS_PROFILE, or the AWS config file"
        case exceptions.NoRegionError():
            return "no AWS region is set: set AWS_REGION, or `region` in the profile"
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return f"no AWS credentials were found ({text}): {_LOG_IN}"
        case exceptions.SSOError() | exceptions.TokenRetrievalError() | exceptions.CredentialRetrievalError():
            return f"the AWS login can't be used or has expired ({text}): {_LOG_IN}"
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            return f"AWS does not answer: {text}; check the network, proxies and AWS_ENDPOINT_URL"
        case exceptions.ClientError():
            return _rejected(cause, text)
    return f"AWS client: {text}"


def _rejected(error: exceptions.ClientError, text: str) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _EXPIRED_CODES:
        return f"the AWS credentials have expired ({code}): {_LOG_IN}"
    if code in _INVALID_CODES:
        return (
            f"AWS does not accept the credentials ({code}): are the emulator's keys still set in your shell? {_LOG_IN}"
        )
    if code in _DENIED_CODES:
        return f"the AWS credentials lack a permission: {text}"
    return text
