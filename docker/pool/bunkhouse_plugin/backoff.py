"""How long to wait before a bot that died is tried again."""


def delay(rule, failures, chance):
    """Seconds before the try after `failures` failures in a row (1 or more): capped exponential, half of it jitter.

    `chance` is a random number from 0 to 1.
    """
    # Past 2**62 the cap has long been reached, and a float would overflow.
    cap = min(rule.max_seconds, rule.min_seconds * 2 ** min(failures - 1, 62))
    return cap / 2 + chance * cap / 2
