"""Taking checked values out of decoded JSON."""

import ipaddress
import re

from .faults import INVALID, Fault

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fields:
    """Takes named, checked values out of decoded JSON. A fault names the field and says what is allowed."""

    def __init__(self, value, where=""):
        if not isinstance(value, dict):
            raise Fault(INVALID, f"{where or 'the argument'} must be an object")
        self._value, self._where = value, where

    def __getitem__(self, name):
        if name not in self._value:
            raise Fault(INVALID, f"{self._name(name)} is missing")
        return self._value[name]

    def number(self, name, low, high, null=False):
        return self._number(name, (int, float), "a number", low, high, null)

    def integer(self, name, low, high, null=False):
        return self._number(name, int, "an integer", low, high, null)

    def boolean(self, name):
        value = self[name]
        if not isinstance(value, bool):
            raise Fault(INVALID, f"{self._name(name)} must be true or false")
        return value

    def text(self, name, pattern=None):
        return self._text(self[name], name, pattern)

    def address(self, name):
        try:
            return ipaddress.ip_address(self.text(name))
        except ValueError:
            raise Fault(INVALID, f"{self._name(name)} must be an address such as 127.0.0.1") from None

    def choice(self, name, choices):
        value = self[name]
        if value not in choices:
            raise Fault(INVALID, f"{self._name(name)} must be one of {', '.join(choices)}")
        return value

    def list(self, name):
        value = self[name]
        if not isinstance(value, list):
            raise Fault(INVALID, f"{self._name(name)} must be a list")
        return value

    def texts(self, name, pattern=None):
        return tuple(self._text(value, name, pattern) for value in self.list(name))

    def environment(self, name):
        value = self[name]
        if not isinstance(value, dict):
            raise Fault(INVALID, f"{self._name(name)} must be an object")
        return {self._text(key, name, ENV_NAME): self._text(text, name) for key, text in value.items()}

    def fields(self, name):
        return Fields(self[name], self._name(name))

    def _name(self, name):
        return f"{self._where}.{name}" if self._where else name

    def _number(self, name, types, kind, low, high, null):
        value = self[name]
        if value is None and null:
            return None
        if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:
            raise Fault(INVALID, f"{self._name(name)} must be {kind} from {low} to {high}{' or null' if null else ''}")
        return value

    def _text(self, value, name, pattern=None):
        if not isinstance(value, str) or "\0" in value:
            raise Fault(INVALID, f"{self._name(name)} must be text without NUL characters")
        if pattern is not None and not pattern.fullmatch(value):
            raise Fault(INVALID, f"{self._name(name)}: {value[:80]!r} is not allowed")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Fault(INVALID, f"{self._name(name)} holds a half of a surrogate pair") from None
        return value
