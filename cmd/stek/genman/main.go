// Command genman writes the man pages of stek to a folder.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/go-stek/stek/internal/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: genman FOLDER VERSION")
		os.Exit(2)
	}
	header := &doc.GenManHeader{Title: "STEK", Section: "1", Source: "stek " + os.Args[2], Manual: "Session-ticket keys"}
	if err := doc.GenManTree(cli.Root(os.Args[2]), header, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "genman:", err)
		os.Exit(1)
	}
}
