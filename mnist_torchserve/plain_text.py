"""Output for terminals and files whose encoding does not have all of our characters."""

import codecs

PLAIN = "plain"  # the name of the error handler, for `errors=`
_INSTEAD = {"░": ".", "▒": ":", "▓": "+", "█": "#", "▀": "#", "●": "*", "–": "-", "…": "~", "×": "x", "÷": "/"}
_INSTEAD |= {"≥": ">=", "≤": "<=", "µ": "u", "±": "+-", "→": "->", "’": "'", "“": '"', "”": '"'}


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (_INSTEAD.get(character) or ascii(character)[1:-1] for character in lacking)
    return "".join(plain), error.end


codecs.register_error(PLAIN, _instead)
