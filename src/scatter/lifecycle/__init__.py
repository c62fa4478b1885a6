"""The executable specification: phases, deadlines, verdicts and settlement of a job.

Pure: integers only, time and block are arguments, no I/O. The contracts must agree with it to the
last unit (`tests/contracts/test_agreement.py`).
"""
