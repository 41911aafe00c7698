"""Runs a verb: `python -m mnist_torchserve.commands VERB …`, which `scripts/VERB` starts."""

import errno
import importlib
import io
import os
import signal
import sys

from mnist_torchserve import contract, machine
from mnist_torchserve.plain_text import PLAIN

_UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EIO}  # the reader has gone, the disk is full, the terminal is closed


def run(verb: str) -> None:
    """Run a verb. However it ends, all that it has started ends too, unless the verb decides otherwise."""
    machine.reach_without_proxy()
    contract.trust_alike()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=PLAIN)  # a file's name may not fit any encoding, or this one
    try:
        try:
            code = importlib.import_module(f"mnist_torchserve.commands.{verb}").main()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = "Interrupted."
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python would try again at exit
        code = 1 if error.errno == errno.EPIPE else f"The output cannot be written: {error.strerror}."
    sys.exit(code)


run(sys.argv.pop(1))
