package doctor

import (
	"path/filepath"
	"strings"
)

// The servers here have no line of configuration to read: their programs decide.

// never says that a program switches tickets off whatever its configuration says,
// and why they are not to be forced.
func (t *target) never(server, why string) {
	detail := "No line of its configuration changes that. There is nothing here for stek to do: start the server without. "
	if t.forced() {
		detail = "Take STEK_FORCE_TICKETS out of its environment: it switches them on. "
	}
	t.add(Finding{Off, "tickets-off-in-code", server + " switches session tickets off in its program", nil, detail + why, ""})
}

func (t *target) checkPostgreSQL() []string {
	t.never("PostgreSQL", "Its own clients resume no session. Where it asks for client certificates, clients that did would be refused, since it names no session id context.")
	return nil
}

func (t *target) checkOpenVPN() []string {
	t.never("OpenVPN", "It checks the peer's certificate in every handshake, which a resumption leaves out.")
	return nil
}

func (t *target) checkFreeRADIUS() []string {
	t.never("FreeRADIUS", "What it allows a user is decided in a full handshake. To let users return sooner, switch its own cache on: cache { enable = yes } in the module eap.")
	return nil
}

func (t *target) checkOpenSMTPD() []string {
	t.never("OpenSMTPD", "It keeps no session on its side either: its authors chose full handshakes.")
	return nil
}

// checkTrafficManager speaks of the parent of Apache Traffic Server, whose real
// and effective user differ when it starts the server.
func (t *target) checkTrafficManager() []string {
	t.add(Finding{Blocks, "secure-mode", "traffic_manager starts the server in secure mode: LD_PRELOAD is ignored", nil,
		"Its real and its effective user differ then. Start the server without it:", "stek run -- traffic_server"})
	return nil
}

// checkSlapd returns libldap: OpenLDAP's server does TLS with its client library.
func (t *target) checkSlapd() []string {
	program, err := t.object(t.program)
	if err != nil {
		return nil
	}
	for _, name := range program.needed {
		if !strings.HasPrefix(name, "libldap") {
			continue
		}
		if lib, ok := t.locate(name, program, program.rpath, t.linkerCache()); ok {
			return []string{lib.path}
		}
	}
	return nil
}

// newContext adds the note about a server whose session id context is another one
// after each start.
func (t *target) newContext(server string) {
	t.context(server, "a value that is new at each start",
		"After a restart every client makes one full handshake, whatever the keys are, and two hosts never accept each other's tickets. Resumption while it runs is not affected.")
}

func (t *target) checkBIND() []string {
	t.newContext("BIND")
	return nil
}

func (t *target) checkMariaDB() []string {
	t.newContext("MariaDB")
	return nil
}

// checkRuby knows servers by their scripts.
func (t *target) checkRuby() []string {
	for _, arg := range t.args() {
		if filepath.Base(arg) == "puma" {
			t.newContext("Puma")
			break
		}
	}
	return nil
}
