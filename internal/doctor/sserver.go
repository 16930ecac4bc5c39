package doctor

import "slices"

// checkSServer reads the options of openssl s_server.
func (t *target) checkSServer() []string {
	args := t.args()
	if len(args) == 0 || args[0] != "s_server" {
		t.noTLS("This openssl command is no server", "openssl s_server is one.")
		return nil
	}
	if slices.Contains(args, "-no_ticket") {
		t.off("Session tickets are switched off", []Place{{File: "command line", Text: "-no_ticket", Change: "(take it out)"}}, "")
	}
	if n, ok := option(args, "-num_tickets"); ok && n == "0" {
		t.noTickets13("No TLS 1.3 ticket is issued", []Place{{File: "command line", Text: "-num_tickets 0", Change: "(take it out)"}}, "TLS 1.2 is not affected.")
	}
	limit, limited := option(args, "-max_early_data")
	accepts := slices.Contains(args, "-early_data") && !limited || limited && limit != "0"
	if accepts && !slices.Contains(args, "-no_anti_replay") {
		t.add(Finding{Off, "early-data", "0-RTT keeps TLS 1.3 sessions on the server", nil,
			"With early data and its replay protection, OpenSSL makes TLS 1.3 tickets that only point to a session in memory, and never asks stek for a key. Leave early data out or, if the application bears replays, add:", "-no_anti_replay"})
	}
	return nil
}
