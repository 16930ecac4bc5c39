// Package backends opens a backend by its URI. Only programs import it: here
// meet all backends, and whatever they depend on.
package backends

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/backend/memory"
)

// A URIError says what is wrong in a URI.
type URIError struct {
	URI string
	Why string
}

// Error names the scheme and the fault. The rest of a URI may hold a password.
func (e *URIError) Error() string {
	scheme, _, found := strings.Cut(e.URI, ":")
	if !found || !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*$`).MatchString(scheme) {
		return "store URI: " + e.Why
	}
	return fmt.Sprintf("store URI %s:..., %s", scheme, e.Why)
}

// Open opens the backend that uri names:
//
//	memory:?rotation=6h&lifetime=6h
//
// The error is a *URIError if uri cannot be understood.
func Open(uri string) (backend.Source, error) {
	scheme, _, found := strings.Cut(uri, ":")
	if !found || scheme != "memory" {
		return nil, &URIError{uri, "it does not begin with a backend's name: memory:"}
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return nil, &URIError{uri, "it is no URI (RFC 3986)"}
	}
	if parsed.Opaque != "" || parsed.Host != "" || parsed.Path != "" || parsed.Fragment != "" || parsed.User != nil {
		return nil, &URIError{uri, "memory: takes parameters after a question mark, and nothing else"}
	}
	values, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return nil, &URIError{uri, "its parameters cannot be read: they are name=value, joined by &"}
	}
	var config memory.Config
	err = durations(uri, values, map[string]*time.Duration{
		"rotation": &config.Rotation,
		"lifetime": &config.Lifetime,
	})
	if err != nil {
		return nil, err
	}
	source, err := memory.New(config)
	if err != nil {
		return nil, &URIError{uri, err.Error()}
	}
	return source, nil
}

// durations reads every parameter of the URI into the one of its name.
func durations(uri string, values url.Values, known map[string]*time.Duration) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		target, ok := known[name]
		if !ok {
			return &URIError{uri, fmt.Sprintf("it has an unknown parameter %q", name)}
		}
		if len(values[name]) > 1 {
			return &URIError{uri, fmt.Sprintf("it has %s twice", name)}
		}
		d, err := time.ParseDuration(values[name][0])
		if err != nil || d <= 0 {
			return &URIError{uri, fmt.Sprintf("%s is not a duration, such as 6h or 90m", name)}
		}
		*target = d
	}
	return nil
}
