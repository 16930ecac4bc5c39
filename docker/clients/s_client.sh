#!/bin/sh
# openssl s_client keeps a session in a file.
session=$(mktemp)
case $2 in 1.2) version=-tls1_2 ;; *) version=-tls1_3 ;; esac

connect() {
    printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
        openssl s_client -connect "$1:8443" -servername localhost "$version" -ign_eof \
            -sess_out "$session" ${2:+-sess_in "$session"} 2>/dev/null |
        grep -E -o '^(New|Reused)' | head -n 1
}

connect "$1"
read -r _
connect "$1" again
connect "$1" again
