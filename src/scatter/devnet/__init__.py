"""A chain on one's own machine: anvil where it is found, else an embedded one on py-evm."""
