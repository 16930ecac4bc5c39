#!/bin/sh
# client.sh connects to HOST every SECONDS with the newest ticket that it has,
# and prints what it sees.
#
#     client.sh HOST SECONDS
session=$(mktemp)
used=
while :; do
    word=$(printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
        openssl s_client -connect "$1:8443" -servername localhost -tls1_3 -ign_eof \
            -sess_out "$session" ${used:+-sess_in "$session"} 2>/dev/null |
        grep -E -o '^(New|Reused)' | head -n 1)
    key=$(openssl sess_id -in "$session" -noout -text 2>/dev/null |
        sed -n 's/^ *0000 - \(..\) \(..\) \(..\) \(..\).*/\1\2\3\4/p')
    echo "$(date +%T)  ${word:-no connection}  ticket under key ${key:--}"
    used=yes
    sleep "$2"
done
