"""The demo's data: Python's own documentation as a corpus, and questions judged by hand on it.

Nothing is downloaded: the documents are the documentation strings of the Python that runs, so the
corpus is the same on every machine with the same version, and nearly the same on every other.
"""
