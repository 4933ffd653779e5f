"""Numbers for people."""

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def amount(count):
    """Bytes in three digits or so: `1.1 GiB`."""
    unit = 0
    while count >= 1023.5 and unit < len(UNITS) - 1:
        count /= 1024
        unit += 1
    digits = 0 if unit == 0 or count >= 99.95 else 1 if count >= 9.995 else 2
    text = f"{count:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {UNITS[unit]}"
