package doctor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReportIsPlainTextMostSeriousFirst(t *testing.T) {
	r := Report{Subject: "haproxy -f h.cfg", Program: "/usr/sbin/haproxy", Library: "/usr/lib/libssl.so.3, OpenSSL 3.0.19", Findings: []Finding{
		{Good, "reachable", "It gets its TLS contexts from OpenSSL", nil, "", ""},
		{Note, "n", "Something that is to be known, " + strings.Repeat("word ", 12) + "end", nil, strings.Repeat("more ", 20), "add this;\nand this;"},
		{Off, "tickets-off", "Session tickets are switched off", []Place{{"/etc/h.cfg", 3, "\tbind no-tls-tickets", "\tbind"}}, "Because.", ""},
	}}
	r.arrange()
	require.Equal(t, Off, r.Verdict())
	require.Equal(t, `haproxy -f h.cfg
  program  /usr/sbin/haproxy
  library  /usr/lib/libssl.so.3, OpenSSL 3.0.19

stek can reach this server, but its tickets are not used.

off      Session tickets are switched off
         /etc/h.cfg:3: bind no-tls-tickets
           change to: bind
         Because.

note     Something that is to be known, word word word word word word word
         word word word word word end
         more more more more more more more more more more more more more more
         more more more more more more
             add this;
             and this;

good     It gets its TLS contexts from OpenSSL
`, text(t, r))
}

func TestVerdictIsTheWorstFinding(t *testing.T) {
	for _, tt := range []struct {
		findings []Severity
		want     Severity
		summary  string
	}{
		{nil, Good, "stek reaches this server."},
		{[]Severity{Good, Note}, Good, "stek reaches this server."},
		{[]Severity{Unknown, Note}, Unknown, "Whether stek reaches this server cannot be told from here."},
		{[]Severity{Off, Unknown}, Off, "stek can reach this server, but its tickets are not used."},
		{[]Severity{Good, Off, Blocks}, Blocks, "stek cannot reach this server."},
	} {
		var r Report
		for _, s := range tt.findings {
			r.Findings = append(r.Findings, Finding{Severity: s})
		}
		require.Equal(t, tt.want, r.Verdict())
		require.Equal(t, tt.summary, r.Summary())
	}
}

func TestJSONNamesSeverities(t *testing.T) {
	out, err := json.Marshal(Report{Subject: "s", Findings: []Finding{{Off, "tickets-off", "T", []Place{{File: "f", Line: 2}}, "", ""}}})
	require.NoError(t, err)
	require.JSONEq(t, `{"subject":"s","program":"","findings":[{"severity":"off","code":"tickets-off","title":"T","places":[{"file":"f","line":2}]}]}`, string(out))
}

func TestReportDoesNotDriveTheTerminal(t *testing.T) {
	require.NotContains(t, text(t, Report{Subject: "a\x1b[2Jb\u009b"}), "\x1b")
	require.Contains(t, text(t, Report{Subject: "a\x1b[2Jb\u009b"}), "a?[2Jb?")
}
