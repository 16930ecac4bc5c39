package interop

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nginx makes its contexts in the master and shakes hands in forked workers,
// that have changed their user.
var nginx = &Server{
	Name:    "nginx",
	Package: "nginx",
	Program: "/usr/sbin/nginx",
	Dialect: overHTTP,
	Changed: "none",

	TicketsOff: true,
	Configure: func(t *testing.T, s *Site) []string {
		s.folder(t, "tmp")
		config := nginxConfig
		if s.TicketsOff {
			config = strings.Replace(config, "access_log off;", "access_log off; ssl_session_tickets off;", 1)
		}
		return []string{"-e", "stderr", "-c", s.write(t, "nginx.conf", config)}
	},
	Workers: nginxWorkers,
	Reload:  signalled(syscall.SIGHUP),
}

// nginxWorkers leaves out the workers that only end their connections.
func nginxWorkers(first int) []int { return childrenCalled("worker process ")(first) }

const nginxWorkerCount = 4

// As Debian's nginx.conf, but with four workers and without files outside.
const nginxConfig = `
user www-data;
worker_processes 4;
daemon off;
pid FOLDER/nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers on;
	access_log off;
	client_body_temp_path FOLDER/tmp/body;
	proxy_temp_path FOLDER/tmp/proxy;
	fastcgi_temp_path FOLDER/tmp/fastcgi;
	uwsgi_temp_path FOLDER/tmp/uwsgi;
	scgi_temp_path FOLDER/tmp/scgi;
	server {
		listen ADDR ssl;
		server_name localhost;
		ssl_certificate FOLDER/cert.pem;
		ssl_certificate_key FOLDER/key.pem;
		location / { return 200 "ok\n"; }
	}
}
`

// nginxTest is the command that only checks a configuration.
func nginxTest(s *Site) []string {
	return []string{nginx.Program, "-t", "-q", "-e", "stderr", "-c", filepath.Join(s.Folder, "nginx.conf")}
}
