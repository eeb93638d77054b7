"""Addresses of servers as they may be shown."""

import re

# A user's name may be shown, what follows it up to the last @ may not; nor what stands in a query under such a name.
_USER = re.compile(r"(://[^\s:@/]*):\S*@")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd|token|secret|api_key)=)[^&\s]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """A text in which passwords of addresses (`scheme://user:password@host`) are three stars."""
    return _QUERY.sub(r"\1***", _USER.sub(r"\1:***@", text))
