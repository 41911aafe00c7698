"""Whose certificates are trusted: for every client the same, whichever variable of the environment names the file."""

import os

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # of Python and OpenSSL, requests, curl


def trust_alike() -> None:
    """Let this process and its children trust the same authorities."""
    named = next(filter(None, map(os.environ.get, _VARIABLES)), None)
    if named is not None:
        os.environ |= {name: os.environ.get(name) or named for name in _VARIABLES}
