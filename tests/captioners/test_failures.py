"""Which errors are retried: the tables of the retry policy."""

from __future__ import annotations

import pickle

import pytest

from captoolkit.captioners.failures import (
    CONNECTION_RULES,
    SERVICE_RULES,
    RetryKind,
    rule_for,
)
from captoolkit.emulator import native_protocol, openai_protocol, vllm_protocol
from captoolkit.errors import ConnectionFailure, ServiceConnectionError, ServiceError

R = RetryKind
ALGO = "<400> InternalError.Algo.InvalidParameter: "
OPENAI_QUOTA = "You exceeded your current quota, please check your plan and billing details. "
# Model Studio, error code page, in native and compatible spelling.
CASES: list[tuple[int | None, str, str, RetryKind]] = [
    (403, "UploadRefused.AccessDenied", "Invalid according to Policy", R.LATER),
    (429, "Throttling", "Requests throttled", R.SLOWER),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded", R.SLOWER),
    (429, "limit_requests", "You exceeded your current requests list", R.SLOWER),
    (429, "limit_burst_rate", "Request rate increased too quickly", R.SLOWER),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded", R.SLOWER),
    (429, "insufficient_quota", "You exceeded your current quota", R.SLOWER),
    (429, "", "slow down", R.SLOWER),
    (429, "insufficient_quota", "Free allocated quota exceeded.", R.HALT),
    (403, "AllocationQuota.FreeTierOnly", "The free tier of the model is exhausted", R.HALT),
    (429, "CommodityNotPurchased", "Commodity has not purchased yet", R.HALT),
    (429, "PrepaidBillOverdue", "The prepaid bill is overdue", R.HALT),
    (429, "PostpaidBillOverdue", "The postpaid bill is overdue", R.HALT),
    (402, "", "Insufficient Balance", R.HALT),
    (429, "insufficient_quota", OPENAI_QUOTA + "read https://platform.openai.com", R.HALT),
    (429, "insufficient_quota", OPENAI_QUOTA + "see: https://help.aliyun.com/zh/model-studio",
     R.SLOWER),
    (429, "", OPENAI_QUOTA + "head to: https://ai.google.dev/gemini-api/docs", R.SLOWER),
    (400, "", "API key not valid. Please pass a valid API key.", R.HALT),
    (403, "", "Your chosen model requires moderation and your input was flagged", R.NEVER),
    (403, "content_policy_violation", "declined", R.NEVER),
    (400, "budget_exceeded", "Budget has been exceeded!", R.HALT),
    (400, "", "The plain HTTP request was sent to HTTPS port", R.HALT),
    (407, "", "Proxy Authentication Required", R.HALT),
    (400, "content_filter", "The response was filtered", R.NEVER),
    (200, "EmptyAnswer", "", R.NEVER),
    (400, "Arrearage", "Access denied, your account is not in good standing", R.HALT),
    (401, "InvalidApiKey", "Invalid API-key provided.", R.HALT),
    (401, "invalid_api_key", "Incorrect API key provided", R.HALT),
    (403, "AccessDenied.Unpurchased", "Access to model denied", R.HALT),
    (403, "Model.AccessDenied", "Model access denied.", R.HALT),
    (404, "ModelNotFound", "Model not found", R.HALT),
    (400, "InvalidParameter", ALGO + "Temperature should be in [0.0, 2.0)", R.NEVER),
    (404, "WorkSpaceNotFound", "WorkSpace can not be found", R.HALT),
    (400, "InvalidParameter", ALGO + "This model only support stream mode", R.HALT),
    (400, "FaqRuleBlocked", "Input or output data is blocked by faq rule.", R.NEVER),
    (404, "model_not_supported", "Unsupported model for OpenAI compatibility mode", R.HALT),
    (400, "", "Model not exist.", R.HALT),
    (500, "InternalError", "An internal error has occurred", R.LATER),
    (500, "internal_error", "An internal error has occurred", R.LATER),
    (500, "InternalError.Algo", "An error occurred in model serving", R.LATER),
    (500, "InternalError.Algo", "Missing Content-Length of multimodal url", R.NEVER),
    (500, "InternalError.Algo", "list index out of range", R.NEVER),
    (500, "InternalError.Algo", ALGO + "something is wrong", R.NEVER),
    (500, "SystemError", "An system error has occured", R.LATER),
    (500, "ModelServiceFailed", "Failed to request model service.", R.LATER),
    (503, "ModelServingError", "Too many requests, system capacity limits", R.LATER),
    (503, "ModelUnavailable", "Model is unavailable", R.LATER),
    (502, "", "<html>Bad gateway", R.LATER),
    (520, "", "nothing", R.LATER),
    (500, "RequestTimeOut", "Request timed out", R.ONCE),
    (504, "GatewayTimeout", "upstream", R.ONCE),
    (408, "", "timeout", R.ONCE),
    (400, "InvalidParameter", "Download multimodal file timed out", R.ONCE),
    (400, "InvalidParameter", "Failed to download multimodal content", R.ONCE),
    (400, "InvalidParameter.DataInspection", "timed out during the data inspection process",
     R.ONCE),
    (400, "BadRequest.InputDownloadFailed", "Failed to download", R.NEVER),
    (400, "InvalidParameter", "The provided URL does not appear to be valid", R.NEVER),
    (400, "DataInspectionFailed", "Input data may contain inappropriate content", R.NEVER),
    (400, "data_inspection_failed", "Output data may contain", R.NEVER),
    (400, "InvalidParameter", ALGO + "The audio is too long", R.NEVER),
    (400, "InvalidParameter", ALGO + "The audio is empty", R.NEVER),
    (400, "InvalidParameter", "Multimodal file size is too large", R.NEVER),
    (400, "BadRequest.TooLarge", "Exceeded limit on max bytes per data-uri item", R.NEVER),
    (400, "InvalidFile.Format", "unsupported", R.NEVER),
    (400, "InvalidParameter", "Range of input length should be [1, 32768]", R.NEVER),
    (400, "BadRequestError", "the prompt is longer than max_model_len", R.NEVER),
    (400, "BadRequestError", "fetching the media: certificate verify failed", R.NEVER),
    (400, "InvalidParameter", "the URL cannot be reached", R.NEVER),
    (200, "server_error", "The server had an error", R.LATER),
    (409, "Conflict", "conflict", R.NEVER),
    (413, "", "too big", R.NEVER),
    (302, "", "h redirects", R.HALT),
    (200, "", "the service answered without a caption", R.NEVER),
    (None, "", "something that no table has", R.NEVER),
]  # fmt: skip
CONNECTIONS = {
    ConnectionFailure.UNREACHABLE: (RetryKind.LATER, False),
    ConnectionFailure.CERTIFICATE: (RetryKind.HALT, False),
    ConnectionFailure.TLS: (RetryKind.HALT, False),
    ConnectionFailure.PROXY: (RetryKind.LATER, False),
    ConnectionFailure.PROXY_REFUSED: (RetryKind.HALT, False),
    ConnectionFailure.SILENT: (RetryKind.ONCE, True),
    ConnectionFailure.STALLED_UPLOAD: (RetryKind.ONCE, True),
    ConnectionFailure.TOO_LATE: (RetryKind.ONCE, True),
    ConnectionFailure.BROKEN: (RetryKind.LATER, True),
    ConnectionFailure.CUT_OFF: (RetryKind.ONCE, True),
}


def error_of(status: int | None, code: str, message: str) -> ServiceError:
    """Return the error for an answer of a service."""
    return ServiceError("it failed", status_code=status, code=code, message=message)


@pytest.mark.parametrize(("status", "code", "message", "retry"), CASES)
def test_status_code_and_message_decide_whether_an_answer_is_retried(
    status: int | None, code: str, message: str, retry: RetryKind
) -> None:
    """Status, code and message together choose the row; none of them alone does."""
    assert rule_for(error_of(status, code, message)).retry is retry


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("WorkSpaceNotFound", "", "check `workspace`"),
        ("InvalidParameter", "This model only support stream mode, please enable", "must_stream"),
        ("CustomRoleBlocked", "blocked by custom rule", "content filter"),
    ],
)
def test_the_advice_names_the_option_to_change(code: str, message: str, advice: str) -> None:
    """Rows of other errors with the same status do not hide it."""
    assert advice in rule_for(error_of(404, code, message)).fix


@pytest.mark.parametrize(
    "words",
    sorted(
        text.format(name=one.name, value=7.5, least=one.least, most=one.most, kind="a string")
        for protocol in (
            native_protocol.SAMPLING_RANGES,
            vllm_protocol.RANGES,
            openai_protocol.RANGES,
        )
        for one in protocol
        for text in (one.words, one.words_below, one.wrong_kind)
        if text and one.name != "n"  # which captoolkit refuses itself
    ),
)
def test_a_refused_parameter_is_not_the_fault_of_the_segment(words: str) -> None:
    """The advice names the options, in whichever service's words the refusal is."""
    for message in (words, ALGO + words):
        assert rule_for(error_of(400, "InvalidParameter", message)).fix.startswith("check `max_tok")
    longer = error_of(400, "", "max_tokens=99999 cannot be greater than max_model_len=32768.")
    assert rule_for(longer).fix.startswith("check `max_tok")
    assert "credit" in rule_for(error_of(402, "", "more credits, or fewer max_tokens")).fix
    assert rule_for(error_of(429, "", "tokens per minute: lower max_tokens")).retry is R.SLOWER


def test_every_row_is_reached() -> None:
    """No row is hidden by a row before it."""
    reached = {id(rule_for(error_of(status, code, message))) for status, code, message, _ in CASES}
    assert reached >= {id(row) for row in SERVICE_RULES}


@pytest.mark.parametrize("kind", ConnectionFailure)
def test_the_kind_of_a_connection_failure_decides_whether_it_is_retried(
    kind: ConnectionFailure,
) -> None:
    """Every kind has a row, and the wording of the error makes no difference."""
    for problem in ("429 Throttling: certificate verify failed", ""):
        rule = rule_for(ServiceConnectionError(problem, kind=kind, status_code=500))
        assert rule is CONNECTION_RULES[kind]
        assert (rule.retry, rule.may_be_billed) == CONNECTIONS[kind]


def test_our_own_sentences_decide_nothing() -> None:
    """Only the service's own message is searched, not the sentence that captoolkit wraps it in."""
    for row in SERVICE_RULES:
        for words in row.messages:
            error = ServiceError(f"captoolkit words it so: {words}", status_code=418)
            assert rule_for(error).retry is RetryKind.NEVER
            assert not rule_for(error).messages


def test_an_error_without_a_kind_goes_by_its_status() -> None:
    """A captioner of the caller's own may raise the error without a kind."""
    assert ServiceConnectionError("it broke").kind is ConnectionFailure.BROKEN
    assert ServiceConnectionError("it broke", status_code=200).kind is ConnectionFailure.CUT_OFF


def test_the_kind_survives_pickling() -> None:
    """An error that crosses a process pool keeps its kind, its message and its status."""
    error = ServiceConnectionError("slow", fix="wait", kind=ConnectionFailure.SILENT, message="m")
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error)
    assert (copy.kind, str(copy)) == (ConnectionFailure.SILENT, "slow; wait")
