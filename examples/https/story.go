package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/ticketkey"
)

// A story is what the clients live through while the keys rotate.
type story struct {
	out      io.Writer
	keys     *stek.Keystore
	schedule memory.Config
	clients  clients
}

// The sessions that s_client keeps in files, for each version.
const (
	first   = "first"   // from the first visit
	renewed = "renewed" // from coming with the first after a rotation
	fresh   = "fresh"   // from coming with the first after its key expired
)

func (s *story) tell(ctx context.Context) error {
	endpoint := net.JoinHostPort(s.clients.server.endpoint())
	fmt.Fprintf(s.out, "https://%s has a new ticket key every %v; each decrypts for %v more.\n",
		endpoint, s.schedule.Rotation, s.schedule.Lifetime)

	old, err := s.current()
	if err != nil {
		return err
	}
	s.title("Key %v is current.", old)
	err = s.visits(ctx, old,
		step{version: tls12, what: "s_client comes", keep: first, session: "New", verdict: notAsked},
		step{version: tls12, what: "and again", offer: first, session: "Reused", verdict: 1},
		step{version: tls13, what: "s_client comes", keep: first, session: "New", verdict: notAsked},
		step{version: tls13, what: "and again", offer: first, session: "Reused", verdict: 2})
	if err != nil {
		return err
	}
	// In TLS 1.2 curl asks for no ticket.
	if err := s.curlVisits(ctx, tls13); err != nil {
		return err
	}

	next, err := s.waitForRotation(ctx, old)
	if err != nil {
		return err
	}
	s.title("Key %v is current, %v only decrypts.", next, old)
	err = s.visits(ctx, next,
		step{version: tls12, what: "first ticket", offer: first, session: "Reused", verdict: 2},
		step{version: tls13, what: "first ticket", offer: first, keep: renewed, session: "Reused", verdict: 2})
	if err != nil {
		return err
	}

	if err := s.waitForExpiry(ctx, old); err != nil {
		return err
	}
	if next, err = s.current(); err != nil {
		return err
	}
	s.title("Key %v has expired and is destroyed.", old)
	return s.visits(ctx, next,
		step{version: tls12, what: "first ticket", offer: first, keep: fresh, session: "New", verdict: 0},
		// s_client writes to a file no ticket that is renewed in TLS 1.2.
		step{version: tls12, what: "fresh ticket", offer: fresh, session: "Reused", verdict: 1},
		step{version: tls13, what: "first ticket", offer: first, session: "New", verdict: 0},
		step{version: tls13, what: "renewed ticket", offer: renewed, session: "Reused", verdict: 2})
}

// A step is one visit of s_client, and how it should come out.
type step struct {
	version     tlsVersion
	what        string
	offer, keep string // files; empty for none
	session     string
	verdict     verdict
}

// visits makes the steps, up to the first that comes out otherwise. After each
// the client has a ticket under the current key, which is key if nothing is
// late.
func (s *story) visits(ctx context.Context, key ticketkey.Name, steps ...step) error {
	for _, step := range steps {
		current, err := s.current()
		if err != nil {
			return err
		}
		before := s.keys.Stats()
		v, err := s.clients.sClient(ctx, step.version, step.offer, step.keep)
		if err != nil {
			return err
		}
		got := verdictBetween(before, s.keys.Stats())

		s.row(step.version, step.what, v.session, "ticket "+v.keyName, got)
		if err := step.check(v, got, current); err != nil {
			if current != key {
				err = fmt.Errorf("%w (the keys rotated meanwhile: on a busy machine, set a longer -rotation and -lifetime)", err)
			}
			return fmt.Errorf("%s, %s: %w", step.version.name, step.what, err)
		}
	}
	return nil
}

func (s step) check(v visit, got verdict, current ticketkey.Name) error {
	switch {
	case v.session != s.session:
		return fmt.Errorf("want a session that is %s", s.session)
	case got != s.verdict:
		return fmt.Errorf("want %v", s.verdict)
	case v.keyName != current.String():
		return fmt.Errorf("want a ticket under key %v", current)
	}
	return nil
}

// curlVisits lets curl make two connections; the second reuses the session of
// the first.
func (s *story) curlVisits(ctx context.Context, version tlsVersion) error {
	before := s.keys.Stats()
	seen, err := s.clients.curl(ctx, version)
	if err != nil {
		return err
	}
	got := verdictBetween(before, s.keys.Stats())
	s.row(version, "curl comes twice", strings.Join(seen, ", "), "", got)
	if !slices.Equal(seen, []string{"New", "Reused"}) {
		return fmt.Errorf("%s, curl: want New, then Reused", version.name)
	}
	return nil
}

// title begins a chapter: what has become of the keys.
func (s *story) title(format string, names ...any) {
	fmt.Fprintf(s.out, "\n"+format+"\n", names...)
}

func (s *story) row(version tlsVersion, what, session, ticket string, v verdict) {
	fmt.Fprintf(s.out, "  %s  %-16s  %-37v  %-15s  %s\n", version.name, what, v, ticket, session)
}

func (s *story) current() (ticketkey.Name, error) {
	for _, k := range s.keys.Keys() {
		if k.State == ticketkey.Current {
			return k.Name, nil
		}
	}
	return ticketkey.Name{}, fmt.Errorf("no key is current; the keystore's last error: %v", s.keys.Err())
}

// waitForRotation waits until old is no longer current, and returns the name of
// the key that is.
func (s *story) waitForRotation(ctx context.Context, old ticketkey.Name) (ticketkey.Name, error) {
	var name ticketkey.Name
	err := s.waitUntil(ctx, s.schedule.Rotation, func() bool {
		var err error
		name, err = s.current()
		return err == nil && name != old
	})
	return name, err
}

// waitForExpiry waits until old is no longer in force.
func (s *story) waitForExpiry(ctx context.Context, old ticketkey.Name) error {
	return s.waitUntil(ctx, s.schedule.Rotation+s.schedule.Lifetime, func() bool {
		return !slices.ContainsFunc(s.keys.Keys(), func(k stek.KeyInfo) bool { return k.Name == old })
	})
}

// waitUntil waits for a condition of the keys, for as long as it may take and
// some time more.
func (s *story) waitUntil(ctx context.Context, limit time.Duration, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit+5*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the keys to rotate: %w", ctx.Err())
		}
	}
	return nil
}

// invite says how to try the server by hand.
func (s *story) invite() {
	endpoint := net.JoinHostPort(s.clients.server.endpoint())
	fmt.Fprintf(s.out, `
Serving until Ctrl-C. In another terminal:
  openssl s_client -connect %[1]s -servername localhost -tls1_2 -reconnect </dev/null 2>&1 | grep -E '^(New|Reused)'
  curl -sk https://%[1]s/ https://%[1]s/
`, endpoint)
}
