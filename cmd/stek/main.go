// Command stek gives unmodified servers on OpenSSL rotating session-ticket keys.
package main

import (
	"os"

	"github.com/go-stek/stek/internal/cli"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(cli.Main(version, os.Args[1:])) }
