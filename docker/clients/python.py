"""Python's ssl takes the session of a connection for the next one."""
import socket
import ssl
import sys

host, version = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
tls = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
context.minimum_version = context.maximum_version = tls


def connect(session):
    raw = socket.create_connection((host, 8443))
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while conn.recv(4096):
            pass
        print("Reused" if conn.session_reused else "New", flush=True)
        return conn.session


kept = connect(None)
sys.stdin.readline()
kept = connect(kept)
connect(kept)
