"""The economics of the protocol as pure arithmetic: equations 1-8, Table 1, units, errors."""
