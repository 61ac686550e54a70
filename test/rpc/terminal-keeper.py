# SPDX-License-Identifier: GPL-2.0-only
# Keeps the master of a terminal in which a shell reads lines; prints the shell's pid. At the end of its input it lets go of the
# master, and keeps the numbers of other terminals in use until the next line would come.
import os, pty, subprocess, sys

# Others are given lower numbers: this one stays free after the dump.
fillers = [pty.openpty() for _ in range(24)]
master, slave = pty.openpty()
script = 'exec 3</dev/tty; echo ready; while read -r line; do echo "got $line"; done'
shell = subprocess.Popen(
    ["setsid", "-c", "sh", "-c", script], stdin=slave, stdout=slave, stderr=slave, close_fds=True
)
os.close(slave)
text = b""
while b"ready" not in text:
    text += os.read(master, 100)
print(shell.pid, flush=True)
shell.wait()
os.close(master)
print("closed", flush=True)
sys.stdin.read()
