"""Everything that can go wrong with a request, as one tree.

    FusiondError                     status  code
    |- BadRequest                    400     invalid_request         the client's: names the field
    |  |- NotSupported               400     not_supported
    |  |- ContextExceeded            400     context_length_exceeded
    |  '- TooSlow                    408     request_timeout
    |- Unauthorized                  401     invalid_api_key
    |- OverBudget                    402     budget_exceeded
    |- Forbidden                     403     forbidden
    |- UnknownModel                  404     model_not_found
    |- NotFound                      404     not_found
    |- TooLarge                      413     request_too_large
    |- UnsupportedMedia              415     unsupported_media_type
    |- Busy                          503     overloaded              ours: says when to come back
    |- Unavailable                   503     no_member_available
    |- AllFailed                     502/504 all_members_failed      the members': carries every one's reason
    |- SchemaFailed                  502     schema                  nobody's answer is a document of the form that was asked for
    '- MemberError                   502     (its `reason`)          one member's, a value inside `Failed`
       |- Unreachable, Rejected, Garbled, Truncated, Empty, Misshapen, Unfounded, ContextTooSmall, Unwilling, Cooling, TooDear, LeftOut
       '- TimedOut                  504     timed_out
          '- NoTime                         deadline

An error carries its HTTP status and code; each wire family renders its own envelope from them, and nothing else decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isnan

LONGEST_WAIT = 600.0
"""Seconds; nobody is believed, or told, to wait for longer."""


class FusiondError(Exception):
    """Root of the tree. `param` names the field or the place, `retry_after` counts seconds; `spent`: the request has cost money already."""

    status = 500
    code = "internal_error"
    type = "server_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = None if retry_after is None else self._wait(retry_after)
        self.spent = False

    def _wait(self, seconds: float) -> float | None:
        """As a client is told: whole seconds, some of them, and not too many."""
        return None if isnan(seconds) else float(ceil(max(1.0, min(seconds, LONGEST_WAIT))))


class BadRequest(FusiondError):
    """The client's request cannot be understood."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class NotSupported(BadRequest):
    """The request is understood, but that part is not built."""

    code = "not_supported"


class ContextExceeded(BadRequest):
    """No member's context can hold the request."""

    code = "context_length_exceeded"


class TooSlow(BadRequest):
    """The body did not come in time."""

    status = 408
    code = "request_timeout"


class Unauthorized(FusiondError):
    """No or a wrong token."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class OverBudget(FusiondError):
    """A paid member was asked for by name and may not be paid."""

    status = 402
    code = "budget_exceeded"
    type = "insufficient_quota"


class Forbidden(FusiondError):
    """Host, origin or privacy."""

    status = 403
    code = "forbidden"
    type = "permission_error"


class UnknownModel(FusiondError):
    """No such model is served."""

    status = 404
    code = "model_not_found"
    type = "invalid_request_error"


class NotFound(FusiondError):
    """No such address."""

    status = 404
    code = "not_found"
    type = "invalid_request_error"


class MethodNotAllowed(NotFound):
    """The address is right, the method is not."""

    status = 405
    code = "method_not_allowed"


class TooLarge(FusiondError):
    """The body is larger than a request may be."""

    status = 413
    code = "request_too_large"
    type = "invalid_request_error"


class UnsupportedMedia(FusiondError):
    """Not application/json, or compressed."""

    status = 415
    code = "unsupported_media_type"
    type = "invalid_request_error"


class Busy(FusiondError):
    """More requests, or more bytes, than the daemon takes at once."""

    status = 503
    code = "overloaded"
    type = "overloaded_error"


class Unavailable(FusiondError):
    """Nobody may answer: every member is left out, each for its own reason."""

    status = 503
    code = "no_member_available"
    type = "overloaded_error"


class MemberError(FusiondError):
    """One member failed.

    `reason` is a word for traces and counters; `unbilled`: it surely cost nothing; `lost`: no way leads to it; `stale`: the connection had waited for
    the question, and was closed as it came.
    """

    status = 502
    type = "upstream_error"
    reason = "failed"
    unbilled = False
    lost = False
    stale = False

    @property
    def code(self) -> str:  # type: ignore[override]
        """The reason stands for the code."""
        return self.reason

    def _wait(self, seconds: float) -> float | None:
        return seconds  # as the provider says it: what is believed of it is for `policy` to say


class Unreachable(MemberError):
    """No connection (`lost`, and it cost nothing), or it broke before the first byte of the answer (then nobody knows)."""

    reason = "unreachable"

    def __init__(self, message: str, *, lost: bool = False, stale: bool = False) -> None:
        super().__init__(message)
        self.lost = self.unbilled = lost
        self.stale = stale


class Rejected(MemberError):
    """The provider answered with an error; `upstream_status` is its HTTP status (None: in the stream)."""

    reason = "rejected"

    def __init__(self, message: str, *, upstream_status: int | None = None, retry_after: float | None = None, unbilled: bool = False) -> None:
        super().__init__(message, retry_after=retry_after)
        self.upstream_status = upstream_status
        self.unbilled = unbilled


class TimedOut(MemberError):
    """A deadline passed: first token, stall or total. `queued`: it passed here, while the call waited for its turn.

    `ours`: it was the request's own, or a share of it, and none of the member's limits: the member may be well.
    """

    status = 504
    reason = "timed_out"

    def __init__(self, message: str, *, queued: bool = False, ours: bool = False) -> None:
        super().__init__(message)
        self.queued = self.unbilled = queued
        self.ours = ours


class NoTime(TimedOut):
    """The member was not asked: the request's time was up."""

    reason = "deadline"

    def __init__(self) -> None:
        super().__init__("was not asked: no time was left", ours=True)
        self.unbilled = True


class Garbled(MemberError):
    """What came is not what the provider's protocol says."""

    reason = "garbled"


class Truncated(MemberError):
    """The stream stopped without its end mark."""

    reason = "truncated"


class Empty(MemberError):
    """The stream ended well, and said nothing."""

    reason = "empty"


class Misshapen(MemberError):
    """The answer is not in the form that was asked for."""

    reason = "schema"


class Unfounded(MemberError):
    """A synthesis has something exact that no draft has."""

    reason = "synthesis_rejected"


class ContextTooSmall(MemberError):
    """The member's context cannot hold the request."""

    reason = "context"
    unbilled = True


class Unwilling(MemberError):
    """The member cannot be asked."""

    reason = "unavailable"
    unbilled = True


class Cooling(MemberError):
    """The member has failed lately, and is left alone for a while."""

    status = 503
    reason = "cooling"
    unbilled = True


class TooDear(MemberError):
    """A paid member whose call the budget does not allow. `final`: the whole request ends with it, rather than go on without."""

    status = 402
    reason = "budget"
    unbilled = True

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class LeftOut(MemberError):
    """The plan did not have the member asked, for one of its own reasons."""

    unbilled = True

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AllFailed(FusiondError):
    """Nobody answered. `failures` maps each member to its error; where each that was asked says when to come back, so does this."""

    status = 502
    code = "all_members_failed"
    type = "upstream_error"

    def __init__(self, failures: Mapping[str, MemberError]) -> None:
        reasons = "; ".join(f"{name}: {error.reason}: {error.message}" for name, error in failures.items())
        message = f"no member answered ({reasons})" if reasons else "no member answered"
        asked = [error for error in failures.values() if not isinstance(error, LeftOut)]
        told = [error.retry_after for error in asked if error.retry_after is not None and not isnan(error.retry_after)]
        super().__init__(message, retry_after=min(told) if told and len(told) == len(asked) else None)
        self.failures = dict(failures)
        if asked and all(isinstance(error, TimedOut) for error in asked):
            self.status = 504


class SchemaFailed(FusiondError):
    """There are answers, but none is a document of the form that was asked for. `reasons` maps each member to what is wrong with its own."""

    status = 502
    code = "schema"
    type = "upstream_error"

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("no member answered in the form that was asked for (" + "; ".join(f"{name}: {why}" for name, why in reasons.items()) + ")")
        self.reasons = dict(reasons)
