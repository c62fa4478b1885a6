"""Small faults put into the contracts, one at a time, to see whether a test notices each."""
