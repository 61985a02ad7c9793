"""A worker that speaks Baton's native protocol by itself: start it with `baton run worker.py -i 4` (it needs Baton)."""
import os, socket, struct

REQUEST = struct.Struct("=IHH16sIiII128s")  # magic, version, type, token, listener, backlog, flags, address length, address
REPLY = struct.Struct("=IHHiIII128s")  # magic, version, type, error, listener, flags, address length, address

def listen(port):
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H12x", port)  # struct sockaddr_in: 0.0.0.0 and the port
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as master:
        master.connect("\0" + os.environ["BATON_SOCKET"])
        token = bytes.fromhex(os.environ["BATON_TOKEN"])
        master.send(REQUEST.pack(0x4E544142, 1, 1, token, 0, 511, 0, len(address), address))
        reply, descriptors, _, _ = socket.recv_fds(master, REPLY.size, 1, socket.MSG_CMSG_CLOEXEC)
    error = REPLY.unpack(reply)[3]
    if error:
        raise OSError(-error, os.strerror(-error))
    return socket.socket(fileno=descriptors[0])  # the accept socket: each record on it brings a client

listener = listen(int(os.environ.get("PORT", 8080)))
while True:
    record, descriptors, _, _ = socket.recv_fds(listener, 512, 1, socket.MSG_CMSG_CLOEXEC)
    if not record:  # end of file: no more clients will come
        break
    if not descriptors:  # the master only asks whether somebody is here
        continue
    with socket.socket(fileno=descriptors[0]) as client:
        client.settimeout(5)
        try:
            client.recv(65536)
            body = f"Hello from slot {os.environ['BATON_SLOT']}, process {os.getpid()}\n"
            client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        except OSError:
            pass  # this client is gone; the next one is not
