# SPDX-License-Identifier: GPL-2.0-only
# A client of the service who isn't root: SERVICE IMAGES FOREIGN-IMAGES PID UID. One line of JSON for each request.
import json, os, signal, socket, subprocess, sys

address, images, foreign, pid, uid = sys.argv[1:]
if os.getuid() == 0:
    # A process that has changed its ids is closed to its own user, until it executes a program.
    with open(__file__) as f:
        source = f.read()
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    os.chdir("/")
    os.execv(sys.executable, [sys.executable, "-c", source] + sys.argv[1:])

own = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def varint(value):
    value &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def read(data):
    at, fields = 0, {}

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 2:
            length = number()
            fields[tag >> 3] = data[at : at + length]
            at += length
        else:
            fields[tag >> 3] = number()
    return fields


def ask(what, kind, opts=None, text=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(address)
        s.send(field(1, kind) + (field(2, opts) if opts is not None else b""))
        answer = read(s.recv(65536))
    result = {"what": what, "success": bool(answer[2]), "errno": answer.get(7, 0)}
    if text is not None:
        message = answer.get(9, b"").decode()
        result["text"] = text if text != "" and text in message else message
    print(json.dumps(result), flush=True)


DUMP, RESTORE, VERSION = 1, 2, 10
fd = os.open(images, os.O_RDONLY | os.O_DIRECTORY)
other = os.open(foreign, os.O_RDONLY | os.O_DIRECTORY)
here = field(1, fd)
ask("version", VERSION)
ask("dump of root's process", DUMP, here + field(2, int(pid)), "isn't user 65534's own")
ask("restore", RESTORE, here, "may not send a request RESTORE")
ask("file of options", DUMP, here + field(2, own.pid) + field(51, b"/etc/passwd"), "may not send a file of options")
ask("root's directory", DUMP, field(1, other) + field(2, own.pid), "belongs to user 0")
ask("dump of own process", DUMP, here + field(2, own.pid) + field(3, 1), "")
own.send_signal(signal.SIGKILL)
own.wait()
