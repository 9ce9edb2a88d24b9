"""The policy is one table: what to do about an error, and whether to ask again."""

from __future__ import annotations

import pytest

from captoolkit.captioners.failures import CONNECTION_REMEDIES, REMEDIES, Again, remedy_for
from captoolkit.errors import ServiceConnectionError, ServiceError

ALGO = "<400> InternalError.Algo.InvalidParameter: "
# Model Studio, error code page, in native and compatible spelling; our own words for connections.
CASES: list[tuple[int | None, str, str, Again]] = [
    (403, "UploadRefused.AccessDenied", "Invalid according to Policy", Again.LATER),
    (429, "Throttling", "Requests throttled", Again.SLOWER),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded", Again.SLOWER),
    (429, "limit_requests", "You exceeded your current requests list", Again.SLOWER),
    (429, "limit_burst_rate", "Request rate increased too quickly", Again.SLOWER),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded", Again.SLOWER),
    (429, "insufficient_quota", "You exceeded your current quota", Again.SLOWER),
    (429, "", "slow down", Again.SLOWER),
    (429, "insufficient_quota", "Free allocated quota exceeded.", Again.HALT),
    (403, "AllocationQuota.FreeTierOnly", "The free tier of the model is exhausted", Again.HALT),
    (429, "CommodityNotPurchased", "Commodity has not purchased yet", Again.HALT),
    (429, "PrepaidBillOverdue", "The prepaid bill is overdue", Again.HALT),
    (429, "PostpaidBillOverdue", "The postpaid bill is overdue", Again.HALT),
    (400, "Arrearage", "Access denied, your account is not in good standing", Again.HALT),
    (401, "InvalidApiKey", "Invalid API-key provided.", Again.HALT),
    (401, "invalid_api_key", "Incorrect API key provided", Again.HALT),
    (403, "AccessDenied.Unpurchased", "Access to model denied", Again.HALT),
    (403, "Model.AccessDenied", "Model access denied.", Again.HALT),
    (404, "ModelNotFound", "Model not found", Again.HALT),
    (404, "model_not_supported", "Unsupported model for OpenAI compatibility mode", Again.HALT),
    (400, "", "Model not exist.", Again.HALT),
    (500, "InternalError", "An internal error has occurred", Again.LATER),
    (500, "internal_error", "An internal error has occurred", Again.LATER),
    (500, "InternalError.Algo", "An error occurred in model serving", Again.LATER),
    (500, "InternalError.Algo", "Missing Content-Length of multimodal url", Again.NEVER),
    (500, "InternalError.Algo", "list index out of range", Again.NEVER),
    (500, "InternalError.Algo", ALGO + "something is wrong", Again.NEVER),
    (500, "SystemError", "An system error has occured", Again.LATER),
    (500, "ModelServiceFailed", "Failed to request model service.", Again.LATER),
    (503, "ModelServingError", "Too many requests, system capacity limits", Again.LATER),
    (503, "ModelUnavailable", "Model is unavailable", Again.LATER),
    (502, "", "<html>Bad gateway", Again.LATER),
    (520, "", "nothing", Again.LATER),
    (500, "RequestTimeOut", "Request timed out", Again.ONCE),
    (504, "GatewayTimeout", "upstream", Again.ONCE),
    (408, "", "timeout", Again.ONCE),
    (400, "InvalidParameter", "Download multimodal file timed out", Again.ONCE),
    (400, "InvalidParameter", "Failed to download multimodal content", Again.ONCE),
    (400, "InvalidParameter.DataInspection", "timed out during the data inspection process",
     Again.ONCE),
    (400, "BadRequest.InputDownloadFailed", "Failed to download", Again.NEVER),
    (400, "InvalidParameter", "The provided URL does not appear to be valid", Again.NEVER),
    (400, "DataInspectionFailed", "Input data may contain inappropriate content", Again.NEVER),
    (400, "data_inspection_failed", "Output data may contain", Again.NEVER),
    (400, "InvalidParameter", ALGO + "The audio is too long", Again.NEVER),
    (400, "InvalidParameter", ALGO + "The audio is empty", Again.NEVER),
    (400, "InvalidParameter", "Multimodal file size is too large", Again.NEVER),
    (400, "BadRequest.TooLarge", "Exceeded limit on max bytes per data-uri item", Again.NEVER),
    (400, "InvalidFile.Format", "unsupported", Again.NEVER),
    (400, "InvalidParameter", "Range of input length should be [1, 32768]", Again.NEVER),
    (400, "BadRequestError", "the prompt is longer than max_model_len", Again.NEVER),
    (400, "BadRequestError", "fetching the media: certificate verify failed", Again.NEVER),
    (400, "InvalidParameter", "the URL cannot be reached", Again.NEVER),
    (200, "server_error", "The server had an error", Again.LATER),
    (409, "Conflict", "conflict", Again.NEVER),
    (413, "", "too big", Again.NEVER),
    (302, "", "h sent us elsewhere", Again.HALT),
    (200, "", "the service answered without a caption", Again.NEVER),
    (None, "", "something that no table has", Again.NEVER),
]  # fmt: skip
CONNECTIONS: list[tuple[int | None, str, Again]] = [
    (None, "h cannot be reached: Connection refused", Again.LATER),
    (None, "h could not be connected to within 10 s", Again.LATER),
    (None, "the connection to h broke: reset", Again.LATER),
    (None, "h sent nothing for 300 s", Again.ONCE),
    (200, "h broke off, or does not speak HTTP", Again.ONCE),
    (500, "the connection to h broke", Again.ONCE),
    (None, "h cannot be reached: certificate verify failed: self-signed certificate", Again.HALT),
]


@pytest.mark.parametrize(("status", "code", "message", "again"), CASES)
def test_the_table_tells_which_errors_are_asked_about_again(
    status: int | None, code: str, message: str, again: Again
) -> None:
    """Status, code and message together decide; none of them alone would."""
    error = ServiceError(
        f"the service answered HTTP {status} {code}: {message}", status_code=status, code=code
    )
    assert remedy_for(error).again is again


@pytest.mark.parametrize(("status", "message", "again"), CONNECTIONS)
def test_connections_that_fail_are_in_the_table_too(
    status: int | None, message: str, again: Again
) -> None:
    """A broken stream is asked again once, what never began as often as a bad moment of theirs."""
    error = ServiceConnectionError(message, status_code=status)
    assert remedy_for(error).again is again


def test_every_row_is_reached() -> None:
    """No row is hidden by one before it."""
    reached = {
        id(remedy_for(ServiceError(message, status_code=status, code=code)))
        for status, code, message, _ in CASES
    } | {
        id(remedy_for(ServiceConnectionError(message, status_code=status)))
        for status, message, _ in CONNECTIONS
    }
    assert reached >= {id(row) for row in (*REMEDIES, *CONNECTION_REMEDIES)}
