package interop

import "testing"

// python loads libssl with a module of its own, out of reach of dlsym
// (RTLD_LOCAL), and answers on threads.
var python = &Server{
	Name:    "Python ssl",
	Package: "python3",
	Program: "/usr/bin/python3",
	Dialect: overHTTP,
	Changed: "none",
	Configure: func(t *testing.T, s *Site) []string {
		return []string{s.write(t, "server.py", pythonProgram)}
	},
}

const pythonProgram = `
import http.server, ssl

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("FOLDER/cert.pem", "FOLDER/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
`
