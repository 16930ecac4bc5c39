// Visitor is the client of Go's crypto/tls in a container. It prints a line for
// each connection, as the other clients do: it waits for a line on its standard
// input before the second.
//
//	visitor ADDRESS 1.2|1.3
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"os"

	"github.com/go-stek/stek/internal/containers/visit"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: visitor ADDRESS 1.2|1.3")
		os.Exit(2)
	}
	client := visit.Client{Addr: os.Args[1], Version: tls.VersionTLS13}
	if os.Args[2] == "1.2" {
		client.Version = tls.VersionTLS12
	}
	input := bufio.NewScanner(os.Stdin)
	for {
		session, err := client.Visit()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(session)
		if !input.Scan() {
			return
		}
	}
}
