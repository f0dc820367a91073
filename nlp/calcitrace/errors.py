"""What can go wrong for a user, and the exit code that says so.

Messages name what is wrong, where (path:line or a report id) and what to do; they never hold report text.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line (2 is the command-line parser's own)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    REJECTS = 3
    UNREADABLE = 4
    INTERRUPTED = 5
    INTEGRITY = 6


class CalcitraceError(Exception):
    """Base of every error that a user can mend."""

    exit_code = ExitCode.FAILURE


class RuleError(CalcitraceError):
    """A rule file that cannot be used; `str()` is `path:line: what is wrong`, without a line where `line` is 0."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path, self.line, self.message = path, line, message


class CriteriaError(RuleError):
    """Criteria of a cohort that cannot be used; `str()` as of a `RuleError`."""

    exit_code = ExitCode.USAGE


class UsageError(CalcitraceError):
    """An option or setting that makes no sense."""

    exit_code = ExitCode.USAGE


class SourceError(CalcitraceError):
    """An input that cannot be read at all."""

    exit_code = ExitCode.UNREADABLE


class BrokenOffError(CalcitraceError):
    """A database that broke off, or whose rows changed, while they were read."""

    exit_code = ExitCode.INTERRUPTED


class StrictError(CalcitraceError):
    """A row had to be rejected and the caller asked to stop at the first."""


class ModelError(CalcitraceError):
    """A model file that cannot be used, or labels that no model can be learned from."""

    exit_code = ExitCode.UNREADABLE


class RunError(CalcitraceError):
    """A run folder that cannot be written, read or continued."""

    exit_code = ExitCode.INTEGRITY


class StoreError(CalcitraceError):
    """A review store that cannot be opened or belongs to another run."""

    exit_code = ExitCode.INTEGRITY


class ConflictError(StoreError):
    """Something was saved in the meantime, by another page or process, that stands against this."""
