# SPDX-License-Identifier: GPL-2.0-only
# A shell with jobs on a terminal: dumped, restored on another terminal, its jobs driven on. Says what it saw, one line per step.
# The terminal shows what is typed, so no answer may be part of a question; and a key that sends a signal is only hit when the
# terminal is that job's: it discards what was typed before, and the shell must not get the signal.
# job-control.py CRIU IMAGES
import os
import pty
import select
import subprocess
import sys
import time

criu, images = sys.argv[1:]
LIMIT = 200


def spawn(*argv):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    return pid, terminal


def talk(terminal, text, until):
    """Types, and reads until the answer is there."""
    os.write(terminal, text.encode())
    seen = ""
    deadline = time.time() + LIMIT
    while until not in seen:
        if time.time() > deadline:
            sys.exit(f"no {until!r} after {text!r}, but {seen!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                sys.exit(f"the terminal is gone after {text!r}: {seen!r}")
    return seen


def wait_for_foreground(terminal, group):
    """Waits until the terminal is that process group's; there's no event for it."""
    deadline = time.time() + LIMIT
    while os.tcgetpgrp(terminal) != group:
        if time.time() > deadline:
            sys.exit(f"the terminal is group {os.tcgetpgrp(terminal)}'s, not {group}'s")
        time.sleep(0.005)


def start_job(terminal, word, seconds):
    """Starts a job in the foreground; gives its group."""
    talk(terminal, f"sh -c 'echo {word} job; exec sleep {seconds}'\n", f"{word} job\r\n")
    return os.tcgetpgrp(terminal)


def suspend(terminal):
    talk(terminal, "\x1a", "Stopped")
    wait_for_foreground(terminal, shell)


def interrupt(terminal, group, shown, resume):
    """Brings a job to the foreground and interrupts it."""
    talk(terminal, resume, shown)
    wait_for_foreground(terminal, group)
    os.write(terminal, b"\x03")
    wait_for_foreground(terminal, shell)
    talk(terminal, "echo ended with $?\n", "ended with 130")


shell, terminal = spawn("bash", "--norc", "--noediting", "-i")
talk(terminal, "PS1='> '; sleep 1000 & echo start$((1))\n", "start1")
job = start_job(terminal, "first", 2000)
suspend(terminal)
subprocess.run([criu, "dump", "-j", "-t", str(shell), "-D", images], check=True)
os.close(terminal)
os.waitpid(shell, 0)
restorer, terminal = spawn(criu, "restore", "-j", "-D", images)
jobs = talk(terminal, "jobs; echo $((6 * 7))\n", "42")
print("jobs", "Stopped" in jobs and "Running" in jobs)
interrupt(terminal, job, "sleep 2000", "fg %2\n")
print("foreground job interrupted")
talk(terminal, "kill %1; wait %1; echo ended with $?\n", "ended with 143")
print("background job ended")
job = start_job(terminal, "second", 3000)
suspend(terminal)
print("new jobs")
interrupt(terminal, job, "sleep 3000", "fg\n")
os.write(terminal, b"exit\n")
os.waitpid(restorer, 0)
print("shell ended")
