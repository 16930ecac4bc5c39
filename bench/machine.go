package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// A Machine is what the numbers were measured on.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	OpenSSL    string `json:"openssl"`
	Go         string `json:"go"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%s; %d x %s; %s", m.OpenSSL, m.Processors, m.Processor, m.Go)
}

func machine(ctx context.Context) Machine {
	m := Machine{Processor: "unknown", Processors: runtime.NumCPU(), OpenSSL: "unknown", Go: runtime.Version()}
	if version, err := exec.CommandContext(ctx, "openssl", "version").Output(); err == nil {
		m.OpenSSL = strings.Join(strings.Fields(string(version))[:2], " ")
	}
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}
