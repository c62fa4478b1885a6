"""One family of errors. A message says what is wrong, where, and what to do."""


class ScatterError(Exception):
    """Something the reader of the message can act on; shown without a traceback."""

    def __str__(self) -> str:
        """The sentence given; without one, what the class says of itself."""
        return super().__str__() or " ".join((type(self).__doc__ or "").split())


class Refused(ScatterError):
    """The protocol does not allow this call now. Its text equals the contract's revert reason."""


class BadInput(ScatterError):
    """A file, option or message does not say what it must."""
