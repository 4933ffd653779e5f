"""What a program prints may hold what it was given: an error in SQL is shown with the SQL around it."""

SHOWN = "***"
# So much of a secret gives it away. Output may begin or end in the middle of one, because it is cut.
TELLING = 6


def redact(text, secrets):
    """The text without the secrets, also without one that it begins or ends in the middle of."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, SHOWN)
    for secret in secrets:
        rest = next((secret[begin:] for begin in range(1, len(secret) - TELLING + 1) if text.startswith(secret[begin:])), "")
        text = (SHOWN if rest else "") + text.removeprefix(rest)
        for length in range(len(secret) - 1, TELLING - 1, -1):
            text = text.replace(secret[:length], SHOWN)
    return text
