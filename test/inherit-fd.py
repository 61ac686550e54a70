# SPDX-License-Identifier: GPL-2.0-only
# Readers of things that lie outside of the dumped tree: each is dumped, and restored with another one of its kind in place
# of the old. Says what it saw, one line per step. As pid 1 of a pid namespace, with mounts of its own.   inherit-fd.py CRIU DIR
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time

criu, directory = sys.argv[1:]
os.chdir(directory)


def start(name, stdin, before=lambda: None):
    """cat in a session of its own, from the descriptor into a file."""
    out = os.open(f"{name}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(stdin, 0)
        os.dup2(out, 1)
        os.dup2(null, 2)
        os.closerange(3, 256)
        before()
        os.execvp("cat", ["cat"])
    os.close(out)
    return pid


def await_text(name, text):
    deadline = time.time() + 20
    while True:
        with open(f"{name}.out") as file:
            seen = file.read()
        if seen == text:
            return
        if time.time() > deadline:
            sys.exit(f"{name}: no {text!r}, but {seen!r}")
        time.sleep(0.01)


def run(*argv, fds=()):
    done = subprocess.run([criu, *argv], pass_fds=fds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def succeed(*argv, fds=()):
    code, text = run(*argv, fds=fds)
    if code != 0:
        sys.exit(f"criu {' '.join(argv)}: {code}\n{text}")
    return text


def images(name):
    os.makedirs(f"{name}.images", exist_ok=True)
    return f"{name}.images"


def dump(name, pid, *options):
    text = succeed("dump", "-t", str(pid), "-D", images(name), *options)
    os.waitpid(pid, 0)
    return text


def restore(name, fd, key):
    succeed("restore", "-d", "-D", images(name), "--inherit-fd", f"fd[{fd}]:{key}", fds=(fd,))


def await_end(pid):
    os.waitpid(pid, 0)


# A pipe; the log names the holder and the option.
reading, writing = os.pipe()
pid = start("pipe", reading)
key = f"pipe:[{os.fstat(reading).st_ino}]"
os.close(reading)
os.write(writing, b"one\n")
await_text("pipe", "one\n")
log = dump("pipe", pid)
print("the log names the option", f"--inherit-fd fd[N]:{key}" in log and f"pid {os.getpid()} (" in log)
os.close(writing)
# Either end of it will do, and our own keeps its flags.
reading, writing = os.pipe()
os.set_blocking(writing, False)
restore("pipe", writing, key)
print("our flags", not os.get_blocking(writing))
os.close(reading)
os.write(writing, b"two\n")
await_text("pipe", "one\ntwo\n")
os.close(writing)
await_end(pid)
print("pipe")

# A terminal that controls the session: refused at first, with the key.
master, slave = pty.openpty()
pid = start("tty", slave, lambda: __import__("fcntl").ioctl(0, 0x540E, 0))
stat = os.fstat(slave)
key = f"tty[{stat.st_rdev:x}:{stat.st_dev:x}]"
os.close(slave)
os.write(master, b"one\n")
await_text("tty", "one\n")
code, text = run("dump", "-t", str(pid), "-D", images("tty"))
print("refused by name", code == 1 and f"--external {key}" in text and f"pid {os.getpid()} (" in text)
dump("tty", pid, "--external", key)
os.close(master)
master, slave = pty.openpty()
restore("tty", slave, key)
os.close(slave)
os.write(master, b"two\n")
await_text("tty", "one\ntwo\n")
os.close(master)
_, status = os.waitpid(pid, 0)
print("terminal, hung up", os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGHUP)

# A stream to a process outside: refused at first, with the process and the key; at restore another one takes its place.
ours, theirs = socket.socketpair()
pid = start("unix", theirs.fileno())
ino = os.fstat(theirs.fileno()).st_ino
theirs.close()
ours.sendall(b"one\n")
await_text("unix", "one\n")
code, text = run("dump", "-t", str(pid), "-D", images("unix"))
print("stream refused by name", code == 1 and "--external unix[" in text and f"pid {os.getpid()} (" in text)
key = re.search(r"--external (unix\[\d+\])", text)[1]
dump("unix", pid, "--external", key)
ours.close()
ours, theirs = socket.socketpair()
restore("unix", theirs.fileno(), f"socket:[{ino}]")
theirs.close()
ours.sendall(b"two\n")
await_text("unix", "one\ntwo\n")
ours.close()
await_end(pid)
print("stream")

# A named pipe, and a file, to which no path leads any more.
os.mkdir("mount")
subprocess.run(["mount", "-t", "tmpfs", "none", "mount"], check=True)
os.mkfifo("mount/fifo")
with open("mount/file", "w") as file:
    file.write("one\ntwo\n")
fifo = os.open("mount/fifo", os.O_RDWR)
file = os.open("mount/file", os.O_RDONLY)
subprocess.run(["umount", "-l", "mount"], check=True)


def key_of(fd):
    with open(f"/proc/self/fdinfo/{fd}") as info:
        mount = next(int(line.split()[1]) for line in info if line.startswith("mnt_id:"))
    return f"file[{mount:x}:{os.fstat(fd).st_ino:x}]"


key = key_of(fifo)
pid = start("fifo", fifo)
os.write(fifo, b"one\n")
await_text("fifo", "one\n")
code, text = run("dump", "-t", str(pid), "-D", images("fifo"))
print("refused without a path", code == 1 and f"--external {key}" in text)
dump("fifo", pid, "--external", key)
restore("fifo", fifo, key)
os.write(fifo, b"two\n")
await_text("fifo", "one\ntwo\n")
os.kill(pid, signal.SIGKILL)
await_end(pid)
print("named pipe")



def start_later(name, fd):
    """Has the descriptor, at position 4, as its fd 5, and copies that into a file when SIGUSR1 comes."""
    os.mkfifo(f"{name}.gate")
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(fd, 5)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.closerange(6, 256)
        os.lseek(5, 4, os.SEEK_SET)
        script = f"trap 'cat <&5 >{name}.out; exit' USR1; : >{name}.ready; read x <{name}.gate"
        os.execvp("sh", ["sh", "-c", script])
    while not os.path.exists(f"{name}.ready"):
        time.sleep(0.01)
    return pid


key = key_of(file)
pid = start_later("file", file)
dump("file", pid, "--external", key)
os.lseek(file, 0, os.SEEK_SET)
restore("file", file, key)
os.kill(pid, signal.SIGUSR1)
await_end(pid)
await_text("file", "two\n")
print("file, with a position of its own", os.lseek(file, 0, os.SEEK_CUR) == 0)

# A memfd: what is written into the new one is read.
memfd = os.memfd_create("given", 0)
os.write(memfd, b"one\nold\n")
pid = start_later("memfd", os.open(f"/proc/self/fd/{memfd}", os.O_RDONLY))
dump("memfd", pid)
memfd = os.memfd_create("given", 0)
restore("memfd", memfd, "/memfd:given")
os.write(memfd, b"one\nnew\n")
os.kill(pid, signal.SIGUSR1)
await_end(pid)
await_text("memfd", "new\n")
print("memfd")
