"""Why a network cannot be packed."""


class PackagingError(Exception):
    """The network, its weights or an option cannot be used; the message says what, where, and what to do."""


def one_line(error: BaseException) -> str:
    """An error in one line, for a message of our own."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:200]}" if said else type(error).__name__
