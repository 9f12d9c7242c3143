"""OpenAI's error envelope: all four keys, always. Where all members failed, each one's reason stands beside them as data."""

from __future__ import annotations

import json
from typing import Any

from fusiond.errors import AllFailed, FusiondError, Misshapen, SchemaFailed


def envelope(error: FusiondError, request_id: str) -> bytes:
    """The body of an error response; `request_id` is what the log knows the request by."""
    return json.dumps({**error_body(error), "request_id": request_id}).encode()


def error_body(error: FusiondError) -> dict[str, Any]:
    """The error as an object, for a body or for a stream that has already begun."""
    told: dict[str, Any] = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    match error:
        case AllFailed():
            told["members"] = {name: _reason(failure.reason, failure.message) for name, failure in error.failures.items()}
        case SchemaFailed():
            told["members"] = {name: _reason(Misshapen.reason, why) for name, why in error.reasons.items()}
    return {"error": told}


def _reason(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}
