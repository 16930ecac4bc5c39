#!/bin/sh
# curl keeps sessions in its process alone: one curl connects every 4 seconds.
# The server says whether it resumed.
case $2 in 1.2) version="--tlsv1.2 --tls-max 1.2" ;; *) version=--tlsv1.3 ;; esac
# shellcheck disable=SC2086 # options
curl -sSkN --http1.1 --rate 15/m $version -H 'Connection: close' \
    "https://$1:8443/1" "https://$1:8443/2" "https://$1:8443/3" |
    sed -u -e 's/^ok .* r$/Reused/' -e 's/^ok .* \.$/New/'
