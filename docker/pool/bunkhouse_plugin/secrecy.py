"""What a program prints may hold what it was given: an error in SQL is shown with the SQL around it."""

SHOWN = "***"
# So much of the beginning of a secret gives it away, because output may end in the middle of one.
TELLING = 6


def redact(text, secrets):
    """The text without the secrets, also without one that it ends in the middle of."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, SHOWN)
    for secret in secrets:
        for length in range(len(secret) - 1, TELLING - 1, -1):
            text = text.replace(secret[:length], SHOWN)
    return text
