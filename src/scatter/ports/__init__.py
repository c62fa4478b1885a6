"""What a node needs of the outside, as Protocols: Chain, Content, Peers, Sandbox, Store.

Roles know only these. `scatter.adapters` makes them real, `scatter.fakes` keeps twins in memory,
and `tests/adapters` holds one suite per port that both must pass.
"""
