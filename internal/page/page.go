// Package page puts what a program has measured into a page of the documentation.
package page

import (
	"fmt"
	"os"
	"strings"
)

// Write replaces what is between the lines <!-- NAME --> and <!-- /NAME --> of a
// file by text, which ends with a newline.
func Write(file, name, text string) error {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, hasBegin := strings.Cut(string(old), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(file, []byte(head+begin+text+end+tail), 0o644)
}
