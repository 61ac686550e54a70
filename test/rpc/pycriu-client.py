# SPDX-License-Identifier: GPL-2.0-only
# A client that uses pycriu, the Python library of the original: CRIU IMAGES PAGES PID. Its workers have neither standard input
# nor output. One line for each request.
import os, signal, sys, time

import pycriu

program, images, pages, pid = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def client(directory):
    criu = pycriu.criu()
    criu.use_binary(program)
    criu.opts.images_dir_fd = os.open(directory, os.O_DIRECTORY)
    criu.opts.log_level = 4
    criu.opts.log_file = "client.log"
    return criu


try:
    client(images).check()
    print("check")
except pycriu.CRIUException as failure:
    print("check", failure)

criu = client(images)
criu.opts.pid = 0x7FFFFFFF
try:
    criu.dump()
except pycriu.CRIUExceptionExternal as failure:
    print("no such process", failure.typ, failure.errno)

server = client(pages)
started = server.page_server_chld()
print("page server", started.pid > 0, started.port > 0)

criu = client(images)
criu.opts.pid = pid
criu.opts.ps.address = "127.0.0.1"
criu.opts.ps.port = started.port
print("dump restored:", criu.dump().restored)
print("ended", server.wait_pid(started.pid))
for name in os.listdir(pages):
    if name.endswith(".img"):
        os.rename(os.path.join(pages, name), os.path.join(images, name))
while os.path.exists(f"/proc/{pid}"):
    time.sleep(0.005)
restored = client(images).restore()
print("restore", restored.pid == pid)
os.kill(pid, signal.SIGKILL)
