package ssltest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Versions in which OpenSSL's answer to a verdict changed.
const (
	firstWithoutMalformedTicket = 0x30000060 // 3.0.6
	firstThatIgnoresLeftErrors  = 0x40000000 // 4.0.0
)

// withEachCallback runs a test with both kinds of callback, in both versions.
func withEachCallback(t *testing.T, test func(t *testing.T, v Version, server, client *Context, evp bool)) {
	for _, kind := range []string{"HMAC_CTX", "EVP_MAC_CTX"} {
		t.Run(kind, func(t *testing.T) {
			evp := kind == "EVP_MAC_CTX"
			if evp && !HasEVPCallback() {
				t.Skip("no such callback in", LibraryText())
			}
			inBothVersions(t, func(t *testing.T, v Version, server, client *Context) {
				test(t, v, server, client, evp)
			})
		})
	}
}

func TestDecryptVerdictsOnTheWire(t *testing.T) {
	internal := []string{"server: fatal internal_error"}
	for _, tt := range []struct {
		name    string
		verdict int
		word    string // "" for a failure
		tickets map[Version]int
		alerts  []string
	}{
		{"renew", 2, "Reused", map[Version]int{TLS12: 1, TLS13: 1}, nil},
		{"use", 1, "Reused", map[Version]int{}, nil},
		{"any other above 0", 7, "Reused", map[Version]int{}, nil},
		{"ignore", 0, "New", map[Version]int{TLS12: 1, TLS13: 2}, nil},
		{"error", -1, "", map[Version]int{}, internal},
		{"any other below 0", -7, "", map[Version]int{}, internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
				server.SetRawVerdicts(1, 1, true, true, evp)
				s := full(t, server, client, Options{})
				require.Equal(t, [16]byte([]byte(RawKeyName)), s.KeyName())

				server.SetRawVerdicts(1, tt.verdict, true, true, evp)
				r := Connect(server, client, Options{Session: s})
				assert.Len(t, r.Tickets, tt.tickets[v])
				assert.Len(t, r.NewSessionTickets, tt.tickets[v])
				assert.Equal(t, tt.alerts, r.Alerts)
				if tt.word == "" {
					assert.False(t, r.OK())
					assert.False(t, r.ClientDone)
					assert.NotEmpty(t, r.ServerErr)
					assert.Contains(t, r.ClientErr, "alert internal error")
					return
				}
				assert.Equal(t, tt.word, r.String())
				assert.Zero(t, r.ServerQueue)
				for _, renewed := range r.Tickets {
					want := 7200
					if v == TLS12 && tt.verdict == 2 {
						want = 0
					}
					assert.Equal(t, want, renewed.Hint())
				}
			})
		})
	}
}

func TestEncryptVerdictsOnTheWire(t *testing.T) {
	for _, verdict := range []int{1, 2} {
		withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
			server.SetRawVerdicts(verdict, 1, true, true, evp)
			server.SetNumTickets(3)
			r := Connect(server, client, Options{})
			require.Equal(t, "New", r.String())
			want := 1
			if v == TLS13 {
				want = 3
			}
			assert.Len(t, r.Tickets, want)
			encrypt, _ := server.RawCalls()
			assert.Equal(t, want, encrypt)
			assert.Equal(t, "Reused", Connect(server, client, Options{Session: r.Tickets[0]}).String())
		})
	}
}

func TestEncryptVerdictIgnoreIssuesNoTicket(t *testing.T) {
	withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
		server.SetRawVerdicts(0, 1, true, true, evp)
		r := Connect(server, client, Options{})
		assert.Empty(t, r.Tickets)
		switch {
		case v == TLS12:
			assert.Equal(t, "New", r.String())
			assert.Equal(t, []int{0}, r.NewSessionTickets)
			assert.True(t, r.SentEmptyTicket)
			again := Connect(server, client, Options{Session: r.LastSession})
			assert.Equal(t, "New", again.String(), "not even by session id")
		case LibraryVersion() < firstWithoutMalformedTicket:
			assert.False(t, r.OK())
			assert.Contains(t, r.NewSessionTickets, -1)
			assert.Contains(t, r.Alerts, "client: fatal decode_error")
		default:
			assert.Equal(t, "New", r.String())
			assert.Empty(t, r.NewSessionTickets)
		}
	})
}

func TestEncryptVerdictErrorIsFatal(t *testing.T) {
	withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
		server.SetRawVerdicts(-1, 1, true, true, evp)
		r := Connect(server, client, Options{})
		assert.False(t, r.OK())
		assert.False(t, r.ServerDone)
		assert.Equal(t, v == TLS13, r.ClientDone, "in 1.3 the client is done by then")
		assert.NotEmpty(t, r.ServerErr)
		assert.Contains(t, r.ClientErr, "alert internal error")
		assert.Equal(t, []string{"server: fatal internal_error"}, r.Alerts)
	})
}

func TestEncryptVerdictUseWithoutMACIsFatal(t *testing.T) {
	withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
		server.SetRawVerdicts(1, 1, true, false, evp)
		r := Connect(server, client, Options{})
		assert.False(t, r.OK())
		assert.False(t, r.ServerDone)
		assert.Equal(t, []string{"server: fatal internal_error"}, r.Alerts)
	})
}

// It runs in a child because OpenSSL may crash.
func TestEncryptVerdictUseWithoutCipherNeverSucceeds(t *testing.T) {
	const variable, connected = "SSLTEST_CHILD", "harness reached the end"
	if os.Getenv(variable) == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			assert.Contains(t, string(out), "SIGSEGV")
			t.Log("crash in", LibraryText())
			return
		}
		assert.Contains(t, string(out), connected)
		t.Log("fatal alert in", LibraryText())
		return
	}
	withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
		server.SetRawVerdicts(1, 1, false, true, evp)
		r := Connect(server, client, Options{})
		assert.False(t, r.OK())
		assert.Equal(t, []string{"server: fatal internal_error"}, r.Alerts)
		t.Log(r.String())
	})
	t.Log(connected)
}

func TestErrorLeftBehindIsCounted(t *testing.T) {
	withEachCallback(t, func(t *testing.T, v Version, server, client *Context, evp bool) {
		server.SetRawVerdicts(1, 1, true, true, evp)
		s := full(t, server, client, Options{})
		server.SetRawVerdictsLeavingError(2, evp)
		r := Connect(server, client, Options{Session: s})
		assert.Equal(t, 1, r.ServerQueue)
		if LibraryVersion() >= firstThatIgnoresLeftErrors {
			assert.Equal(t, "Reused", r.String())
			return
		}
		assert.Equal(t, "Failed", r.Word(), "of a good resumption")
		assert.Contains(t, r.ServerErr, "null parameter")
	})
}
