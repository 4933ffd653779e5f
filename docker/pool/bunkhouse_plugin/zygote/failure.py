class Failure(Exception):
    """Why this zygote cannot be used; a sentence for people."""
