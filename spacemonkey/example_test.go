package spacemonkey_test

import (
	"log"
	"time"

	"github.com/spacemonkeygo/openssl"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend/memory"
	"github.com/go-stek/stek/spacemonkey"
)

func serve(sslContext *openssl.Ctx) error {
	source, err := memory.New(memory.Config{Rotation: 6 * time.Hour})
	if err != nil {
		return err
	}
	keys, err := stek.Open(source)
	if err != nil {
		return err
	}
	defer keys.Close()
	warnings, err := spacemonkey.Attach(sslContext, keys)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		log.Print(w)
	}
	listener, err := openssl.Listen("tcp", "127.0.0.1:0", sslContext)
	if err != nil {
		return err
	}
	return listener.Close() // or serve
}

func ExampleAttach() {
	sslContext, err := openssl.NewCtx()
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(sslContext); err != nil {
		log.Fatal(err)
	}
	// Output:
}
