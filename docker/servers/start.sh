#!/bin/sh
# start.sh runs a server on port 8443. A server that ends by itself, or is
# killed, is started again, as an init would do. SIGTERM ends both.
#
#     start.sh SERVER [verify]     verify: clients must have a certificate
set -eu

die() {
    echo "start.sh: $*" >&2
    exit 2
}

server=$1
verify=${2:-}
cert=/etc/ssl/cert.pem
key=/etc/ssl/key.pem
clients=/etc/ssl/client.pem # the certificate that is accepted

cd /srv
case $server in
node)
    set -- node node.js "$verify"
    ;;
php)
    set -- php php.php "$verify"
    ;;
puma)
    mode="verify_mode=none"
    [ -z "$verify" ] || mode="verify_mode=force_peer&ca=$clients"
    set -- puma --config puma.rb --bind "ssl://0.0.0.0:8443?cert=$cert&key=$key&$mode"
    ;;
mariadb)
    # The server only verifies a certificate. The account demands it.
    echo "CREATE OR REPLACE USER client ${verify:+REQUIRE X509};" >/tmp/init.sql
    set -- mariadbd --user=mysql --port=8443 --bind-address=0.0.0.0 --init-file=/tmp/init.sql --ssl-cert=$cert --ssl-key=$key
    [ -z "$verify" ] || set -- "$@" --ssl-ca=$clients
    ;;
postgresql)
    set -- setpriv --reuid postgres --regid postgres --clear-groups /usr/lib/postgresql/*/bin/postgres -D /srv/postgresql \
        -p 8443 -h 0.0.0.0 -k /tmp \
        -c "hba_file=/srv/pg_hba${verify:+.verify}.conf" -c ssl=on -c ssl_cert_file=$cert \
        -c ssl_key_file=/etc/ssl/postgres.pem
    [ -z "$verify" ] || set -- "$@" -c ssl_ca_file=$clients
    ;;
redis)
    set -- redis-server --port 0 --tls-port 8443 --protected-mode no --tls-cert-file $cert --tls-key-file $key \
        --tls-ca-cert-file $clients --tls-auth-clients no
    [ -z "$verify" ] || set -- "$@" --tls-auth-clients yes
    ;;
squid)
    # Started by root, it would run its workers with another real user than the
    # effective one, and the dynamic linker would ignore LD_PRELOAD.
    [ "$(id -u)" != 0 ] || die "start squid as user proxy"
    set -- squid --foreground -f "/srv/squid${verify:+.verify}.conf"
    ;;
bind)
    set -- named -g -u bind -c "/srv/bind${verify:+.verify}.conf"
    ;;
mosquitto)
    set -- mosquitto -c "mosquitto${verify:+.verify}.conf"
    ;;
rsyslog)
    [ -z "$verify" ] || die "rsyslog refuses a client that comes back, if it verifies clients"
    set -- rsyslogd -n -f rsyslog.conf -i /tmp/rsyslogd.pid
    ;;
vsftpd)
    set -- vsftpd vsftpd.conf
    [ -z "$verify" ] || set -- "$@" -orequire_cert=YES -ovalidate_cert=YES -oca_certs_file=$clients
    ;;
gunicorn)
    set -- gunicorn --workers 2 --bind 0.0.0.0:8443 --certfile $cert --keyfile $key wsgi:application
    [ -z "$verify" ] || set -- "$@" --cert-reqs 2 --ca-certs $clients
    ;;
uwsgi)
    set -- uwsgi --master --die-on-term --processes 2 --plugin http,python3 --wsgi-file wsgi.py --https "0.0.0.0:8443,$cert,$key,HIGH${verify:+,!$clients}"
    ;;
*)
    die "no server \"$server\""
    ;;
esac

ended=
trap 'ended=yes; kill -TERM $pid' TERM
while [ -z "$ended" ]; do
    "$@" &
    pid=$!
    echo $pid >/tmp/server.pid
    wait $pid && code=0 || code=$?
    [ -n "$ended" ] || sleep 0.1
done
# The first wait ended by the signal.
wait $pid && code=0 || code=$?
exit $code
