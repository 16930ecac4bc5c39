#!/bin/sh
# Chromium loads a page that connects three times, 4 seconds apart. The server
# says whether it resumed.
case $2 in 1.2) version=--ssl-version-max=tls1.2 ;; *) version=--ssl-version-min=tls1.3 ;; esac
work=$(mktemp -d)
sed "s/SERVER/$1/" page.html >"$work/page.html"
mkfifo "$work/log"
chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --ignore-certificate-errors \
    --user-data-dir="$work/profile" --enable-logging=stderr "$version" "file://$work/page.html" 2>"$work/log" &
grep -m 3 -o -E --line-buffered 'CONSOLE.*"(New|Reused|Failed)' "$work/log" | sed -u 's/.*"//'
kill $!
