"""Imported once by the server from which a demo's nodes are forked.

Twelve processes that each import everything need 16 s on two cores; one that imports and forks
twelve times needs 4 s, and they share the memory.
"""

import gc

import scatter.demo.actor_process
import scatter.node.app
import scatter.simulation.adversaries

__all__ = ["scatter"]

gc.collect()
gc.freeze()
