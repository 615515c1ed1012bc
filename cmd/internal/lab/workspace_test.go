package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAWorkspaceClearsUpAfterTheDeadOnly(t *testing.T) {
	root := t.TempDir()
	dead := filepath.Join(root, "run-dead")
	if err := os.MkdirAll(filepath.Join(dead, "laptop1"), 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := NewWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the folder of a run without owner is still there (%v)", err)
	}
	second, err := NewWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Dir); err != nil {
		t.Errorf("the folder of a living run was removed: %v", err)
	}
	for _, w := range []*Workspace{first, second} {
		if err := w.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if _, err := os.Stat(w.Dir); !os.IsNotExist(err) {
			t.Errorf("%s is left after Close (%v)", w.Dir, err)
		}
	}
}
