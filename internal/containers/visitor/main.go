// Visitor is the client of Go's crypto/tls in a container. Like the others there
// it makes three connections, prints a line for each, and before the second
// waits for a line on its standard input.
//
//	visitor HOST 1.2|1.3
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"github.com/go-stek/stek/internal/containers/visit"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: visitor HOST 1.2|1.3")
		os.Exit(2)
	}
	client := visit.Client{Addr: net.JoinHostPort(os.Args[1], "8443"), Version: tls.VersionTLS13}
	if os.Args[2] == "1.2" {
		client.Version = tls.VersionTLS12
	}
	for n := range 3 {
		if n == 1 {
			bufio.NewScanner(os.Stdin).Scan()
		}
		session, err := client.Visit()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(session)
	}
}
