// Command https shows ticket keys at work: an HTTPS server in Go on OpenSSL,
// whose keys rotate every few seconds, and stock clients that come back to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spacemonkeygo/openssl"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/spacemonkey"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "listen on this `address`")
	rotation := flag.Duration("rotation", 3*time.Second, "make a new ticket key this often")
	lifetime := flag.Duration("lifetime", 3*time.Second, "accept a ticket for this long after its key's rotation")
	keepOn := flag.Bool("serve", false, "go on serving after the steps, until Ctrl-C")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "https: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	schedule := memory.Config{Rotation: *rotation, Lifetime: *lifetime}
	if err := run(ctx, os.Stdout, *addr, schedule, *keepOn); err != nil {
		fmt.Fprintf(os.Stderr, "https: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, addr string, schedule memory.Config, keepOn bool) (err error) {
	// The keystore: random keys in this process's memory.
	source, err := memory.New(schedule)
	if err != nil {
		return err
	}
	keys, err := stek.Open(source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()

	// The server's context, and the one call that gives it the keys.
	cert, err := newCertificate()
	if err != nil {
		return err
	}
	defer cert.remove()
	sslContext, err := openssl.NewCtxFromFiles(cert.certFile, cert.keyFile)
	if err != nil {
		return err
	}
	sslContext.SetSessionCacheMode(openssl.SessionCacheOff) // only tickets resume
	warnings, err := spacemonkey.Attach(sslContext, keys)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		// OpenSSL's session timeout of two hours outlives our keys. It is what
		// we want here: clients offer tickets to the last, and the keys decide.
		if w != stek.WarnTimeout {
			fmt.Fprintf(out, "warning: %v\n", w)
		}
	}

	server, err := listen(addr, sslContext)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()

	story := story{out: out, keys: keys, schedule: schedule, clients: clients{server: server, cert: cert}}
	if err := story.tell(ctx); err != nil {
		return err
	}
	if keepOn {
		story.invite()
		<-ctx.Done()
	}
	return nil
}
