# SPDX-License-Identifier: GPL-2.0-only
# Init of a pid namespace that lets criu dump a tree and restore it at once, and reaps orphans only when the restore has waited.
import os
import signal
import subprocess
import sys
import time

criu = sys.argv[1]


def all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def processes(session, state):
    found = 0
    for pid in all_processes():
        try:
            with open("/proc/%d/stat" % pid) as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        found += fields[0] in state and int(fields[3]) == session
    return found


def run(*words):
    with open("out", "ab") as out:
        pid = subprocess.Popen([criu, *words], stdout=out, stderr=out).pid
    return pid


def wait(pid):
    _, status = os.waitpid(pid, 0)
    if status != 0:
        with open("out") as out:
            sys.exit(out.read())


# The parent of the tree isn't us: it ends with the dump, and its children wait for us.
root = subprocess.Popen(
    ["sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & exec sleep 1000' & exec sleep 1000"],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
).pid
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    sleeping = 0
    for pid in all_processes():
        try:
            with open("/proc/%d/comm" % pid) as comm:
                sleeping += comm.read() == "sleep\n"
        except OSError:
            pass
    if sleeping == 4:
        break
    time.sleep(0.01)
wait(run("dump", "-t", str(root), "-D", "images", "-o", "dump.log"))
os.waitpid(root, 0)
print("zombies", processes(root, "Z"), flush=True)
restore = run("restore", "-d", "-D", "images", "-o", "restore.log")
# As long as it needs to find them, and a while more.
time.sleep(0.7)
for pid in all_processes():
    if pid not in (os.getpid(), restore):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
wait(restore)
print("restored", processes(root, "SRD"), flush=True)
os.kill(root, signal.SIGKILL)
