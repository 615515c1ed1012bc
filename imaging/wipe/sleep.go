package wipe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// CanSleep reports whether the machine under sys ("/sys") has the sleep that switches its drives off (S3). Many laptops
// have s2idle only, which leaves a freeze lock on.
func CanSleep(sys string) bool {
	modes, err := os.ReadFile(filepath.Join(sys, "power/mem_sleep"))
	return err == nil && strings.Contains(string(modes), "deep")
}

// Sleep sends the machine to sleep for some seconds: its clock wakes it. It returns when the machine is awake again.
func Sleep(sys string, seconds int) error {
	if !CanSleep(sys) {
		return fmt.Errorf("this machine has no S3 sleep")
	}
	for _, w := range []struct{ file, text string }{
		{"class/rtc/rtc0/wakealarm", "0"}, // an alarm that is set already refuses another
		{"class/rtc/rtc0/wakealarm", fmt.Sprintf("+%d", seconds)},
		{"power/mem_sleep", "deep"},
		{"power/state", "mem"},
	} {
		if err := os.WriteFile(filepath.Join(sys, w.file), []byte(w.text), 0); err != nil {
			return fmt.Errorf("send the machine to sleep: %w", err)
		}
	}
	return nil
}
