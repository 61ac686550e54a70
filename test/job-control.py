# SPDX-License-Identifier: GPL-2.0-only
# A shell with jobs on a terminal: dumped, restored on another terminal, its jobs driven on. Says what it saw, one line per step.
# job-control.py CRIU IMAGES
import os
import pty
import select
import subprocess
import sys
import time

criu, images = sys.argv[1:]


def spawn(*argv):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    return pid, terminal


def talk(terminal, text, until):
    """Types, and reads until the answer is there."""
    os.write(terminal, text.encode())
    seen = ""
    deadline = time.time() + 100
    while until not in seen:
        if time.time() > deadline:
            sys.exit(f"no {until!r} after {text!r}, but {seen!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                sys.exit(f"the terminal is gone after {text!r}: {seen!r}")
    return seen


shell, terminal = spawn("bash", "--norc", "--noediting", "-i")
talk(terminal, "PS1='> '; sleep 1000 & echo started\n", "started\r\n")
talk(terminal, "sh -c 'echo in the foreground; exec sleep 2000'\n", "in the foreground\r\n")
talk(terminal, "\x1a", "Stopped")
subprocess.run([criu, "dump", "-j", "-t", str(shell), "-D", images], check=True)
os.close(terminal)
os.waitpid(shell, 0)
restorer, terminal = spawn(criu, "restore", "-j", "-D", images)
jobs = talk(terminal, "jobs; echo $((6 * 7))\n", "42")
print("jobs", "Stopped" in jobs and "Running" in jobs)
talk(terminal, "fg %2\n", "sleep 2000")
talk(terminal, "\x03", "> ")
talk(terminal, "echo ended with $?\n", "ended with 130")
print("foreground job interrupted")
talk(terminal, "kill %1; wait %1; echo ended with $?\n", "ended with 143")
print("background job ended")
talk(terminal, "sh -c 'echo another job; exec sleep 3000'\n", "another job\r\n")
talk(terminal, "\x1a", "Stopped")
print("new jobs")
talk(terminal, "fg\n", "sleep 3000")
talk(terminal, "\x03", "> ")
os.write(terminal, b"exit\n")
os.waitpid(restorer, 0)
print("shell ended")
