"""Ctrl-C while a command's processes begin: they say nothing, and the command ends them."""

import subprocess
import sys
from pathlib import Path

# As a terminal does, it interrupts all processes of its group, as soon as the first of its own begins.
INTERRUPTED = """
import os
import signal
from mnist_torchserve import processes

if __name__ == "__mp_main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # it would have the time to complain
    os.killpg(0, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.pause()

if __name__ == "__main__":
    try:
        with processes.pool(1) as pool:
            print(pool.map(abs, [-1]))
    except KeyboardInterrupt:
        print("Interrupted.")
"""


def test_only_the_command_itself_is_interrupted(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert (done.returncode, done.stdout) == (0, "Interrupted.\n")
