"""What is learnt, and how it is kept: jobs as files, models as files, scores, aggregation.

Pure but for the files it is told to read and write. Nothing here opens a network connection,
runs a job's code, or loads anything that can execute.
"""
