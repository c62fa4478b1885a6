"""One family of errors. A message says what is wrong, where, and what to do."""


class ScatterError(Exception):
    """Something the reader of the message can act on; shown without a traceback."""


class Refused(ScatterError):
    """The protocol does not allow this call now. Its text equals the contract's revert reason."""


class BadInput(ScatterError):
    """A file, option or message does not say what it must."""
