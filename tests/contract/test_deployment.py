"""The addresses of a deployment."""

import pytest
from mnist_torchserve.contract import on_next_port


@pytest.mark.parametrize(
    ("host", "management"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("http://[::1]:8080", "http://[::1]:8081"),
        ("http://me:secret@digits.example.org:8080", "http://me:secret@digits.example.org:8081"),
        ("https://digits.example.org", "https://digits.example.org:444"),
        ("http://digits.example.org/", "http://digits.example.org:81/"),
    ],
)
def test_management_is_looked_for_on_the_next_port(host: str, management: str) -> None:
    assert on_next_port(host) == management
