package main

// rows are what is compared, and the goals. A row without a goal is there to put
// the others in proportion.
var rows = []Row{
	{"issue one TLS 1.3 ticket", "issue", "built-in keys", "stek", "ns", Goal{ratioAtMost, 0.92}},
	{"issue, EVP callback", "issue", "built-in keys", "stek, EVP", "ns", Goal{reported, 0}},
	{"issue, without the time of authentication in the ticket", "issue", "built-in keys", "stek, no stamp", "ns", Goal{reported, 0}},
	{"issue: a callback as the man page writes it", "issue", "built-in keys", "man page", "ns", Goal{reported, 0}},
	{"issue: static keys set up anew and nothing else", "issue", "built-in keys", "keyed anew", "ns", Goal{reported, 0}},
	{"issue: pre-keyed contexts, the floor", "issue", "built-in keys", "floor", "ns", Goal{reported, 0}},

	{"reject a ticket: known name, bad MAC", "reject", "built-in keys", "stek", "ns", Goal{ratioAtMost, 0.60}},
	{"reject, EVP callback", "reject", "built-in keys", "stek, EVP", "ns", Goal{reported, 0}},
	{"reject: a callback as the man page writes it", "reject", "built-in keys", "man page", "ns", Goal{reported, 0}},
	{"reject: pre-keyed contexts, the floor", "reject", "built-in keys", "floor", "ns", Goal{reported, 0}},

	{"reject an unknown name, beside an empty callback", "unknown", "empty callback", "stek", "ns", Goal{addedAtMost, 60}},
	{"ClientHello with 1,700 unknown names", "flood", "built-in keys", "stek", "µs", Goal{ratioAtMost, 1.00}},
	{"ClientHello with 1,700 unknown names, EVP callback", "flood", "built-in keys", "stek, EVP", "µs", Goal{reported, 0}},

	{"callback alone, encrypt", "alone-encrypt", "built-in keys", "stek", "ns", Goal{ratioAtMost, 0.45}},
	{"callback alone, encrypt, EVP callback", "alone-encrypt", "built-in keys", "stek, EVP", "ns", Goal{reported, 0}},
	{"callback alone, encrypt, man page", "alone-encrypt", "built-in keys", "man page", "ns", Goal{reported, 0}},
	{"callback alone, encrypt, static keys set up anew and nothing else", "alone-encrypt", "built-in keys", "keyed anew", "ns", Goal{reported, 0}},
	{"callback alone, encrypt, floor", "alone-encrypt", "built-in keys", "floor", "ns", Goal{reported, 0}},
	{"callback alone, decrypt", "alone-decrypt", "built-in keys", "stek", "ns", Goal{ratioAtMost, 0.45}},
	{"callback alone, decrypt, EVP callback", "alone-decrypt", "built-in keys", "stek, EVP", "ns", Goal{reported, 0}},
	{"callback alone, decrypt, man page", "alone-decrypt", "built-in keys", "man page", "ns", Goal{reported, 0}},
	{"callback alone, decrypt, static keys set up anew and nothing else", "alone-decrypt", "built-in keys", "keyed anew", "ns", Goal{reported, 0}},
	{"callback alone, decrypt, floor", "alone-decrypt", "built-in keys", "floor", "ns", Goal{reported, 0}},

	{"encrypt with 256 keys in the table", "keys-encrypt", "1 keys", "256 keys", "ns", Goal{ratioAtMost, 1.05}},
	{"decrypt with 256 keys in the table", "keys-decrypt", "1 keys", "256 keys", "ns", Goal{ratioAtMost, 1.05}},

	{"TLS 1.2 resumptions, 1 thread", "resume12-1", "built-in keys", "stek", "/s", Goal{ratioAtLeast, 1.00}},
	{"TLS 1.2 resumptions, 2 threads", "resume12-2", "built-in keys", "stek", "/s", Goal{ratioAtLeast, 1.00}},
	{"TLS 1.3 resumptions, 1 thread", "resume13-1", "built-in keys", "stek", "/s", Goal{ratioAtLeast, 1.00}},
	{"TLS 1.3 resumptions, 2 threads", "resume13-2", "built-in keys", "stek", "/s", Goal{ratioAtLeast, 1.00}},

	{"p99 of a handshake while keys rotate", "rotation-p99", "no rotation", "every 100 ms", "µs", Goal{ratioAtMost, 1.05}},
	{"p99.9 of a handshake while keys rotate", "rotation-p999", "no rotation", "every 100 ms", "µs", Goal{reported, 0}},

	{"nginx, 4 workers, TLS 1.3 resumptions per processor second", "nginx-tls13", "own tickets", "stek", "/s", Goal{ratioAtLeast, 0.99}},
	{"nginx, 4 workers, TLS 1.2 resumptions per processor second", "nginx-tls12", "own tickets", "stek", "/s", Goal{ratioAtLeast, 0.99}},
	{"nginx, 4 workers, TLS 1.3 resumptions as wrk gets them", "nginx-tls13-wrk", "own tickets", "stek", "/s", Goal{reported, 0}},
	{"nginx, 4 workers, TLS 1.2 resumptions as wrk gets them", "nginx-tls12-wrk", "own tickets", "stek", "/s", Goal{reported, 0}},
	{"HAProxy, TLS 1.3 resumptions per processor second", "haproxy-tls13", "own tickets", "stek", "/s", Goal{reported, 0}},
	{"HAProxy, TLS 1.3 resumptions as wrk gets them", "haproxy-tls13-wrk", "own tickets", "stek", "/s", Goal{reported, 0}},
	{"private memory of an nginx worker", "nginx-memory", "own tickets", "stek", "KiB", Goal{addedAtMost, 256}},
	{"threads of nginx", "nginx-threads", "own tickets", "stek", "threads", Goal{addedAtMost, 0}},

	{"a KeyStore in Go that is asked, in a hot loop, p50", "asked", "published", "asked", "ns", Goal{addedAtMost, 150}},
	{"an empty call of Go from C, in a hot loop, p50", "asked", "published", "crossing", "ns", Goal{reported, 0}},
	{"asked after 300 µs of C work, p50", "asked-after-work", "published", "asked", "ns", Goal{reported, 0}},
	{"asked by 64 threads with 60 µs of C work, p50", "asked-64-threads", "published", "asked", "ns", Goal{reported, 0}},
	{"asked by 64 threads with 60 µs of C work, p99.9", "asked-64-threads-p999", "published", "asked", "ns", Goal{reported, 0}},
	{"callbacks of a Go program, 1 goroutine", "peer-1", "spacemonkey", "stek", "/s", Goal{reported, 0}},
	{"callbacks of a Go program, 8 goroutines", "peer-8", "spacemonkey", "stek", "/s", Goal{ratioAtLeast, 2}},
}
