package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-stek/stek/internal/containers/visit"
)

// A Daemon is a server of the image docker/servers. It is run alone and under
// stek run, and the claim is about the difference.
type Daemon struct {
	Name     string // as start.sh has it
	Version  string // shell command that prints it
	Reload   string // shell command in its container; empty: it cannot
	Protocol visit.Protocol
	Options  []string // of docker run

	RandomContext bool // the session id context is random: tickets end with the SSL_CTX
	NoContext     bool // it verifies clients without a session id context: OpenSSL resumes none
	AlwaysAsks    bool // it asks for certificates even where it needs none
	RefusesAgain  bool // where it verifies clients, it refuses one that comes back, also alone
}

var hangup = "kill -HUP $(cat /tmp/server.pid)"

var daemons = []*Daemon{
	{Name: "node", Version: "node --version"},
	{Name: "php", Version: "php --version", NoContext: true},
	{Name: "puma", Version: "puma --version", RandomContext: true},
	{Name: "mariadb", Version: "mariadbd --version", Protocol: visit.MariaDB, RandomContext: true,
		Reload: "mariadb -e 'FLUSH SSL'"},
	{Name: "postgresql", Version: "/usr/lib/postgresql/*/bin/postgres --version", Protocol: visit.PostgreSQL, NoContext: true,
		Options: []string{"-e", "STEK_FORCE_TICKETS=1"}, Reload: hangup},
	{Name: "redis", Version: "redis-server --version", Protocol: visit.Redis,
		Reload: "redis-cli --tls --insecure --cert /etc/ssl/client.pem --key /etc/ssl/client.key -p 8443 config set tls-cert-file /etc/ssl/cert.pem"},
	{Name: "squid", Version: "squid --version", Options: []string{"--user", "proxy"}, Reload: hangup},
	{Name: "bind", Version: "named -v", Protocol: visit.DNS, RandomContext: true, Reload: hangup},
	{Name: "mosquitto", Version: "mosquitto -h | head -1", Protocol: visit.MQTT, Reload: hangup},
	{Name: "rsyslog", Version: "rsyslogd -v", Protocol: visit.Syslog, RefusesAgain: true},
	{Name: "vsftpd", Version: "vsftpd -v 0>&1 | cat", Protocol: visit.FTP, AlwaysAsks: true, Options: []string{"--publish", "127.0.0.1::8444"}, Reload: hangup},
	{Name: "gunicorn", Version: "gunicorn --version", Reload: hangup},
	{Name: "uwsgi", Version: "uwsgi --version", Reload: hangup},
}

var daemonImage = &Image{Folder: "servers", Suite: "trixie"}

func daemonClaims() (claims []*Claim) {
	for _, d := range daemons {
		claims = append(claims, d.claim("alone and under stek run", alone, underStek))
		if !d.RefusesAgain {
			claims = append(claims, d.claim("alone and under stek run, clients with certificates",
				aloneVerifies, stekVerifies, stekVerifiesWithLabel))
		}
	}
	return claims
}

func (d *Daemon) claim(says string, ways ...*way) *Claim {
	return &Claim{
		Part: "servers", Image: daemonImage, On: d.subject(""), Says: says,
		Check: func(ctx context.Context, c *Claim) (string, error) { return d.check(ctx, c, ways...) },
	}
}

// subject is the first column of the row.
func (d *Daemon) subject(version string) string {
	return strings.TrimSpace(d.Name+" "+version) + ", " + daemonImage.Suite
}

// A way is how a server is run.
type way struct {
	says    string
	stek    bool
	verify  bool     // clients must have a certificate
	options []string // of docker run
}

var (
	alone                 = &way{says: "alone", options: []string{"--entrypoint", "/srv/start.sh"}}
	underStek             = &way{says: "with stek", stek: true}
	aloneVerifies         = &way{says: "alone", verify: true, options: []string{"--entrypoint", "/srv/start.sh"}}
	stekVerifies          = &way{says: "with stek", stek: true, verify: true}
	stekVerifiesWithLabel = &way{says: "with stek and STEK_CLIENT_AUTH", stek: true, verify: true, options: []string{"-e", "STEK_CLIENT_AUTH=label"}}
)

// check runs the server in each of the ways at the same time. The first is the
// one that the others are compared with.
func (d *Daemon) check(ctx context.Context, c *Claim, ways ...*way) (string, error) {
	all := make([]*observation, len(ways))
	failures := make([]error, len(ways))
	var wait sync.WaitGroup
	for n, w := range ways {
		wait.Go(func() {
			if all[n], failures[n] = d.observe(ctx, w); failures[n] != nil {
				failures[n] = fmt.Errorf("%s: %w", w.says, failures[n])
			}
		})
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		return "", err
	}
	c.On = d.subject(all[0].version)
	var seen []string
	for n, w := range ways {
		for _, version := range versions {
			if err := d.compare(w, all[0].by[version], all[n].by[version]); err != nil {
				failures[n] = errors.Join(failures[n], fmt.Errorf("%s, %s: %w", w.says, tls.VersionName(version), err))
			}
		}
		if all[n].code != all[0].code {
			failures[n] = errors.Join(failures[n], fmt.Errorf("%s it ends with code %s, alone with %s", w.says, all[n].code, all[0].code))
		}
		seen = append(seen, w.says+": "+all[n].String())
	}
	words := strings.Join(seen, ". ")
	if err := errors.Join(failures...); err != nil {
		return "", fmt.Errorf("%w\n%s", err, words)
	}
	return words, nil
}

// compare says what is not as it has to be in a way with stek.
func (d *Daemon) compare(w *way, alone, got *sight) error {
	want := &sight{walk: resumes, after: [events]string{visit.Reused, visit.Reused, visit.Reused}}
	switch {
	case !w.stek:
		return nil
	case w == stekVerifies, w == underStek && d.AlwaysAsks:
		// A ticket stays with the context that has verified the client, as alone.
		want.after[reload], want.after[restart] = alone.after[reload], alone.after[restart]
		if !slices.Contains(alone.walk, visit.Reused) {
			want.walk, want.after[rotation] = resumesNever, visit.New
		}
	case w.verify && d.NoContext:
		want = &sight{walk: resumesNever, after: [events]string{visit.New, visit.New, visit.New}}
	case d.RandomContext:
		want.after[reload], want.after[restart] = visit.New, visit.New
	}
	if d.Reload == "" {
		want.after[reload] = ""
	}
	if got.String() != want.String() {
		return fmt.Errorf("%s, want %s", got, want)
	}
	return nil
}

// An observation is what clients saw of a server that was run in one way.
type observation struct {
	version string
	by      map[uint16]*sight // of each version of TLS
	code    string            // the container's at its end
}

// versions are those of TLS that have session tickets.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// What happens to a server, in this order.
const (
	rotation = iota
	reload
	restart
	events
)

var eventNames = [events]string{"rotation", "reload", "restart"}

// A sight is what a client of one version of TLS saw.
type sight struct {
	walk  []string       // its first connections
	after [events]string // the first one after each event; empty if there was none
}

var (
	resumes      = append([]string{visit.New}, slices.Repeat([]string{visit.Reused}, 7)...)
	resumesNever = slices.Repeat([]string{visit.New}, 8)
)

// String is such as "New, 7 Reused; Reused after rotation, restart".
func (s *sight) String() string {
	words := "New or Reused" // the worker decides
	switch pairs := slices.Repeat([]string{visit.New, visit.Reused}, 4); {
	case slices.Equal(s.walk, resumes):
		words = "New, 7 Reused"
	case slices.Equal(s.walk, resumesNever):
		words = "8 New"
	case slices.Equal(s.walk, pairs):
		words = "4 (New, Reused)"
	}
	for _, session := range []string{visit.Reused, visit.New} {
		var after []string
		for event, name := range eventNames {
			if s.after[event] == session {
				after = append(after, name)
			}
		}
		if len(after) > 0 {
			words += "; " + session + " after " + strings.Join(after, ", ")
		}
	}
	return words
}

// String says once what is the same in both versions of TLS.
func (o *observation) String() string {
	old, newer := o.by[tls.VersionTLS12].String(), o.by[tls.VersionTLS13].String()
	if old == newer {
		return old
	}
	return fmt.Sprintf("TLS 1.2 %s; TLS 1.3 %s", old, newer)
}

// observe runs the server in one way. An alert fails the claim, also alone.
func (d *Daemon) observe(ctx context.Context, w *way) (*observation, error) {
	args := slices.Concat([]string{"--publish", "127.0.0.1::8443"}, d.Options, w.options, []string{daemonImage.Tag(), d.Name})
	if w.verify {
		args = append(args, "verify")
	}
	c, err := start(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer c.remove()
	o := &observation{by: map[uint16]*sight{}}
	if err := d.look(ctx, c, w, o); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.logs())
	}
	o.version = c.version(ctx, d.Version)
	o.code, err = c.stop(ctx)
	return o, err
}

// look visits the server: at once, and after each event.
func (d *Daemon) look(ctx context.Context, c *container, w *way, o *observation) error {
	clients, err := d.clients(ctx, c, w)
	if err != nil {
		return err
	}
	if err := clients.wait(ctx); err != nil {
		return err
	}
	for version, client := range clients {
		o.by[version] = &sight{}
		for range resumes {
			session, err := client.Visit()
			if err != nil {
				return err
			}
			o.by[version].walk = append(o.by[version].walk, session)
		}
	}
	if err := clients.underCurrentKey(ctx, c, w); err != nil {
		return err
	}
	for event := range events {
		script := d.script(w, event)
		if script == "" {
			continue
		}
		if err := d.lookAfter(ctx, c, w, o, clients, event, script); err != nil {
			return fmt.Errorf("%s: %w", eventNames[event], err)
		}
	}
	return clients.refusedWithoutCertificate(w)
}

// lookAfter makes an event happen and visits the server.
func (d *Daemon) lookAfter(ctx context.Context, c *container, w *way, o *observation, clients group, event int, script string) error {
	if out, err := c.exec(ctx, "sh", "-c", script); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if err := clients.wait(ctx); err != nil {
		return err
	}
	for version, client := range clients {
		session, err := client.Visit()
		if err != nil {
			return err
		}
		o.by[version].after[event] = session
	}
	return clients.underCurrentKey(ctx, c, w)
}

// script is the shell command that makes an event happen, if it can. A reload is
// given two seconds: most are done at once, but none says so. In a restart the
// server ends, and start.sh runs another.
func (d *Daemon) script(w *way, event int) string {
	switch {
	case event == rotation && w.stek:
		return "stek rotate"
	case event == reload && d.Reload != "":
		return d.Reload + " && sleep 2"
	case event == restart:
		return `old=$(cat /tmp/server.pid)
			kill $old
			while [ "$(cat /tmp/server.pid)" = $old ]; do sleep 0.1; done`
	}
	return ""
}

// A group is a client of each version of TLS.
type group map[uint16]*visit.Client

func (d *Daemon) clients(ctx context.Context, c *container, w *way) (group, error) {
	addr, err := c.published(ctx, "8443")
	if err != nil {
		return nil, err
	}
	var data string
	if slices.Contains(d.Options, "127.0.0.1::8444") {
		if data, err = c.published(ctx, "8444"); err != nil {
			return nil, err
		}
	}
	var certificate *tls.Certificate
	if w.verify {
		if certificate, err = c.clientCertificate(ctx); err != nil {
			return nil, err
		}
	}
	clients := group{}
	for _, version := range versions {
		clients[version] = &visit.Client{Addr: addr, DataAddr: data, Version: version, Protocol: d.Protocol, Certificate: certificate}
	}
	return clients, nil
}

// wait waits until the server answers, by a client that has no ticket.
func (g group) wait(ctx context.Context) error {
	var err error
	eventuallyErr := eventually(ctx, "it answers", func() bool {
		fresh := *g[tls.VersionTLS13]
		fresh.Forget()
		_, err = fresh.Visit()
		return err == nil
	})
	if eventuallyErr != nil {
		return fmt.Errorf("%w: %w", eventuallyErr, err)
	}
	return nil
}

// underCurrentKey is nil if the tickets that the clients have are under the key
// that encrypts now. Without stek it does not ask.
func (g group) underCurrentKey(ctx context.Context, c *container, w *way) error {
	if !w.stek {
		return nil
	}
	key, err := c.currentKey(ctx)
	if err != nil {
		return err
	}
	for _, client := range g {
		if cmp.Or(client.KeyName(), key) != key {
			return fmt.Errorf("a ticket is under key %q, the current key is %q", client.KeyName(), key)
		}
	}
	return nil
}

// refusedWithoutCertificate is nil unless a server that verifies lets a client
// in that has no certificate.
func (g group) refusedWithoutCertificate(w *way) error {
	if !w.verify {
		return nil
	}
	for version, client := range g {
		bare := *client
		bare.Forget()
		bare.Certificate = nil
		if session, err := bare.Visit(); err == nil {
			return fmt.Errorf("a client without a certificate gets in with %s: %s", tls.VersionName(version), session)
		}
	}
	return nil
}

// clientCertificate is the one that servers of the image accept.
func (c *container) clientCertificate(ctx context.Context) (*tls.Certificate, error) {
	out, err := c.exec(ctx, "cat", "/etc/ssl/client.pem", "/etc/ssl/client.key")
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair([]byte(out), []byte(out))
	return &certificate, err
}
