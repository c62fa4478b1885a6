# pragma version 0.4.3
"""
@title Refusals
@license Apache-2.0
@notice Why a call is refused, in the words of `scatter.lifecycle.reasons`.
@dev The compiler repeats 125 bytes for each reason; through here it is half of that.
"""


@pure
@internal
def _require(allowed: bool, reason: String[32]):
    """
    @notice Reverts with the reason unless the call is allowed.
    """
    assert allowed, reason
