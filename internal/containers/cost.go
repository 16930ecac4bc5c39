package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// The measures of bench that a version of OpenSSL makes different, and what the
// row says of each.
var costs = []struct{ measure, says string }{
	{"issue", "issued"},
	{"reject", "rejected"},
	{"alone-encrypt", "encrypted"},
	{"alone-decrypt", "decrypted"},
}

// costLimit is for a ticket issued, which bench can tell from OpenSSL 3.0 on. Its
// goal is less; here other rows use the processors, too.
const costLimit = 1.0

// measureCosts runs make bench's C harness in the image. Its result is what a ticket
// costs with stek, by the time that it costs with OpenSSL's own keys.
func measureCosts(ctx context.Context, c *Claim) (string, error) {
	out, err := runInMatrix(ctx, c.Image, `
		go run ./bench -rounds 5 -run '^(issue|reject|alone-encrypt|alone-decrypt)$' -json /tmp/bench.json >&2
		cat /tmp/bench.json`)
	if err != nil {
		return "", err
	}
	var report struct {
		Rows []struct {
			Measure  string
			Ours     string
			Compared struct{ Median float64 }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return "", fmt.Errorf("read what bench has measured: %w", err)
	}
	var words []string
	for _, cost := range costs {
		found := false
		for _, row := range report.Rows {
			if row.Measure != cost.measure || row.Ours != "stek" {
				continue
			}
			found = true
			words = append(words, fmt.Sprintf("%s %.2f", cost.says, row.Compared.Median))
			if row.Measure == "issue" && row.Compared.Median > costLimit {
				return "", fmt.Errorf("a ticket issued costs %.2f of one with OpenSSL's own keys, more than %.2f", row.Compared.Median, costLimit)
			}
		}
		if !found && !(cost.measure == "issue" && c.Image.Suite == "bullseye") {
			return "", fmt.Errorf("bench has not measured %s", cost.measure)
		}
	}
	return strings.Join(words, ", "), nil
}
