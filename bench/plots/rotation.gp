set title "The server's part of a TLS 1.3 handshake that resumes"
set ylabel "µs"
one = "no rotation"
other = "a rotation every 100 ms"
