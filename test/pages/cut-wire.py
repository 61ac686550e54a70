# SPDX-License-Identifier: GPL-2.0-only
# Stands between a dump and a page server: cut-wire.py SERVER_PORT SIDE BYTES [PID]. Passes on what comes, and how it ends. When so
# many bytes have come from SIDE (dump, server; none: never) it kills PID, or without one cuts both ends.
# Prints its port first, and at the end how many bytes came from dump and server.

import os, select, socket, struct, sys

port, side, limit = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
victim = int(sys.argv[4]) if len(sys.argv) > 4 else 0
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
dump, _ = listener.accept()
server = socket.create_connection(("127.0.0.1", port))
count = {dump: 0, server: 0}
watched = dump if side == "dump" else server if side == "server" else None
open_ends = [dump, server]


def reset(end):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def cut():
    global watched
    if victim:
        watched = None
        os.kill(victim, 9)
        return False
    dump.close()
    server.close()
    return True


def work():
    while open_ends:
        if watched and count[watched] >= limit and cut():
            return
        for end in select.select(open_ends, [], [])[0]:
            other = server if end is dump else dump
            most = limit - count[end] if end is watched else 65536
            try:
                data = end.recv(min(most, 65536))
                count[end] += len(data)
                if data:
                    other.sendall(data)
                else:
                    open_ends.remove(end)
                    other.shutdown(socket.SHUT_WR)
            except OSError:
                reset(other)
                return
            if watched and count[watched] >= limit and cut():
                return


work()
print(count[dump], count[server], flush=True)
