"""What can go wrong, as types with a retry verdict.

TriplineError
├── ConfigError            a setting, a seed row or a source declaration is wrong   retry: after a person mended it
├── InputError             a file or a line cannot be used                          retry: after a person mended it
│   └── WarehouseUnreadable      the warehouse is damaged, or no database at all     retry: after `tripline restore`
├── WarehouseLocked        another process holds the warehouse                      retry: by itself, soon
├── WarehouseMismatch      the warehouse was written by another version             retry: after `tripline upgrade`
├── BuildFailed            dbt ended with an error                                  retry: by itself, next batch
├── SpoolFull              the collector cannot put an event on disk                retry: by itself, soon
└── DeliveryError          a destination did not take what was sent
    ├── PermanentDeliveryError   this request will never be taken                   retry: never
    │   └── RequestTooLarge      fewer rows at once might be                        retry: never as it is
    ├── EndpointRefused          credentials or endpoint, whatever is sent          retry: after a person mended it
    ├── RetryableDeliveryError   the platform asked to wait, or is down             retry: by itself
    └── UnknownOutcome           the request may have arrived, the answer did not   retry: by the destination's policy
"""

from __future__ import annotations


class TriplineError(Exception):
    """Base of all errors that a person is meant to read.

    `message` says what is wrong and where (file, line, row); `hint` says what to do about it.
    `retry` is True where trying again without a change can succeed.
    """

    retry = False
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class ConfigError(TriplineError):
    exit_code = 2


class InputError(TriplineError):
    exit_code = 2


class WarehouseUnreadable(InputError):
    pass


class WarehouseLocked(TriplineError):
    retry = True
    exit_code = 75  # EX_TEMPFAIL of sysexits.h: a script may simply call again


class WarehouseMismatch(TriplineError):
    exit_code = 3


class BuildFailed(TriplineError):
    retry = True
    exit_code = 4


class SpoolFull(TriplineError):
    retry = True
    exit_code = 75


class DeliveryError(TriplineError):
    """`http_status` and `answer` are kept in the delivery log; `answer` never holds a secret."""

    def __init__(self, message: str, hint: str = "", *, http_status: int | None = None, answer: str = "") -> None:
        super().__init__(message, hint)
        self.http_status = http_status
        self.answer = answer


class PermanentDeliveryError(DeliveryError):
    pass


class RequestTooLarge(PermanentDeliveryError):
    pass


class EndpointRefused(DeliveryError):
    pass


class RetryableDeliveryError(DeliveryError):
    """`retry_after` is in seconds, where the platform named a time."""

    retry = True

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        http_status: int | None = None,
        answer: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint, http_status=http_status, answer=answer)
        self.retry_after = retry_after


class UnknownOutcome(DeliveryError):
    retry = True
