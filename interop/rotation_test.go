package interop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRotationUnderLoadFailsNoHandshake(t *testing.T) {
	for _, s := range []*Server{nginx, apacheEvent} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			i := Serve(t, s, Run{Store: "memory:?rotation=200ms&lifetime=400ms"})
			before := i.Stek.Current(t)
			load := StartLoad(t, i, 4)
			Eventually(t, "the first key is destroyed", func() bool { return !i.Stek.Has(t, before) })
			load.Await(t, 1000)
			require.Empty(t, load.End())
			visits, reused := load.visits.Load(), load.reused.Load()
			t.Logf("%d handshakes, %d resumed", visits, reused)
			require.Greater(t, reused, visits*9/10, "clients that come all the time are resumed across rotations")
		})
	}
}
