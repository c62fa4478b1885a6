"""The one error of a run: a sentence for the job's author."""


class JobFailed(Exception):
    """The job's code or folder is not as it must be; the message says what to change."""
