package interop

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

// Alone, a server resumes a ticket under every name that it has.
func TestTicketResumesUnderItsServerNameAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		way  Way
		want string
	}{
		"alone":        {Alone{}, Reused},
		"with stek":    {Run{}, New},
		"a name group": {Run{NameGroup: "shop"}, Reused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := Serve(t, nginx, tt.way)
			for _, version := range versions {
				c := i.Client(t, version)
				first := c.Visit(t, nil)
				other := c.Asking(otherName).Visit(t, first.Newest())
				require.Equal(t, tt.want, other.Session, tls.VersionName(version))
				require.Equal(t, Reused, c.Visit(t, c.Visit(t, nil).Newest()).Session)
			}
		})
	}
}
