package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// monitor speaks QMP, QEMU's control protocol: one JSON object a line. One command runs at a time.
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
}

// dialMonitor waits for QEMU to open its socket and leaves the greeting behind.
func dialMonitor(ctx context.Context, path string, gone <-chan struct{}) (*monitor, error) {
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			m := &monitor{conn: conn, dec: json.NewDecoder(conn)}
			var greeting json.RawMessage
			if err := m.dec.Decode(&greeting); err != nil {
				return nil, fmt.Errorf("read QEMU's greeting: %w", err)
			}
			_, err = m.do("qmp_capabilities", nil)
			return m, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reach QEMU's monitor: %w", ctx.Err())
		case <-gone:
			return nil, errors.New("QEMU ended before its monitor opened")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// do runs a command and returns its answer; events in between are passed over.
func (m *monitor) do(command string, args any) (json.RawMessage, error) {
	req := map[string]any{"execute": command}
	if args != nil {
		req["arguments"] = args
	}
	if err := json.NewEncoder(m.conn).Encode(req); err != nil {
		return nil, fmt.Errorf("monitor %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage
			Event  string
			Error  *struct{ Class, Desc string }
		}
		if err := m.dec.Decode(&answer); err != nil {
			return nil, fmt.Errorf("monitor %s: %w", command, err)
		}
		switch {
		case answer.Event != "":
		case answer.Error != nil:
			return nil, fmt.Errorf("monitor %s: %s", command, answer.Error.Desc)
		default:
			return answer.Return, nil
		}
	}
}

// human runs a command of the monitor that people use.
func (m *monitor) human(line string) (string, error) {
	raw, err := m.do("human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("monitor %q: %w", line, err)
	}
	return text, nil
}
