package main

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek/internal/containers/visit"
)

// These tests need no Docker engine.

func TestDaemonMustDoAsItsRowSays(t *testing.T) {
	const no, yes = visit.New, visit.Reused
	pairs := slices.Repeat([]string{no, yes}, 4)
	plain, random := &Daemon{Reload: "x"}, &Daemon{Reload: "x", RandomContext: true}
	none, asks := &Daemon{Reload: "x", NoContext: true}, &Daemon{Reload: "x", AlwaysAsks: true}
	kept := &sight{resumes, [events]string{"", no, no}} // what most servers do alone
	never := &sight{resumesNever, [events]string{"", no, no}}

	for name, tt := range map[string]struct {
		daemon     *Daemon
		way        *way
		alone, got *sight
		right      bool
	}{
		"resumes always":                        {plain, underStek, kept, &sight{resumes, [events]string{yes, yes, yes}}, true},
		"is as alone":                           {plain, underStek, kept, &sight{resumes, [events]string{yes, no, no}}, false},
		"resumes every second time":             {plain, underStek, kept, &sight{pairs, [events]string{yes, yes, yes}}, false},
		"random context ends with a reload":     {random, underStek, kept, &sight{resumes, [events]string{yes, no, no}}, true},
		"always asks: as if it verified":        {asks, underStek, kept, &sight{resumes, [events]string{yes, no, no}}, true},
		"always asks: a restart leaves tickets": {asks, underStek, kept, &sight{resumes, [events]string{yes, no, yes}}, false},
		"verifies: a reload ends tickets":       {plain, stekVerifies, kept, &sight{resumes, [events]string{yes, no, no}}, true},
		"verifies: ticket opens a new context":  {plain, stekVerifies, kept, &sight{resumes, [events]string{yes, yes, no}}, false},
		"verifies: and after a restart":         {plain, stekVerifies, kept, &sight{resumes, [events]string{yes, no, yes}}, false},
		"verifies: less than alone":             {plain, stekVerifies, kept, &sight{resumesNever, [events]string{no, no, no}}, false},
		"verifies: context for each connection": {plain, stekVerifies, never, &sight{resumesNever, [events]string{no, no, no}}, true},
		"verifies: more than alone":             {plain, stekVerifies, never, &sight{resumes, [events]string{yes, no, no}}, false},
		"label: resumes always":                 {plain, stekVerifiesWithLabel, never, &sight{resumes, [events]string{yes, yes, yes}}, true},
		"label: as without":                     {plain, stekVerifiesWithLabel, kept, &sight{resumes, [events]string{yes, no, no}}, false},
		"label, no context: never":              {none, stekVerifiesWithLabel, never, &sight{resumesNever, [events]string{no, no, no}}, true},
		"label, no context: resumes":            {none, stekVerifiesWithLabel, never, &sight{resumes, [events]string{yes, yes, yes}}, false},
	} {
		err := tt.daemon.compare(tt.way, tt.alone, tt.got)
		require.Equal(t, tt.right, err == nil, "%s: %v", name, err)
	}
}

func TestEveryDaemonIsStartedByItsScript(t *testing.T) {
	script, err := os.ReadFile("../../docker/servers/start.sh")
	require.NoError(t, err)
	for _, d := range daemons {
		require.Contains(t, string(script), "\n"+d.Name+")\n")
	}
}
