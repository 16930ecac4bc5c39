#!/bin/sh
# gnutls-cli connects again with its session where it reads ^resume^. It does so
# once: it does not keep what a resumed connection brings.
case $2 in 1.2) version=+VERS-TLS1.2 ;; *) version=+VERS-TLS1.3 ;; esac
{
    read -r _
    printf '^resume^\n'
    sleep 2
} | stdbuf -oL gnutls-cli --insecure --inline-commands --waitresumption --port 8443 --sni-hostname localhost \
    --priority "NORMAL:-VERS-ALL:$version" "$1" |
    sed -u -n -e 's/^- Got a certificate list.*/New/p' -e 's/.*This is a resumed session.*/Reused/p'
