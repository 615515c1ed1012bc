package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// TestALaptopsWordsNeverSteerTheTerminal: a serial, a model, a drive and a host name are whatever a stranger
// wrote into them. No command prints their control characters, neither in lists nor in refusals.
func TestALaptopsWordsNeverSteerTheTerminal(t *testing.T) {
	const evil = "X\x1b[2J\x1b]0;owned\a\r\n\u009b31mY"
	data := filepath.Join(t.TempDir(), "data")
	tell := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"--data", data}, args...), nil, &out, &errs)
		return code, out.String() + errs.String()
	}
	if code, text := tell("bench", "close"); code != 0 {
		t.Fatal(text)
	}
	db, err := store.Open(filepath.Join(data, "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	device := func(id string, state store.DeviceState) store.Device {
		return store.Device{ID: id, State: state, Manufacturer: evil, Model: evil, Serial: id + evil, SerialKey: "maker\x00" + id, UUID: evil, Asset: evil, Sticker: evil, Told: evil, Owner: evil,
			Note: evil, BuiltIn: []string{evil}, History: []store.Change{{By: evil, What: evil, Old: evil, New: evil, Why: evil}}, MACs: []string{evil},
			Firmware: evil, Warnings: []string{evil}, Conflict: evil, Drives: []job.Drive{{Path: evil, Serial: evil, Model: evil, Transport: evil, SizeBytes: 1}}}
	}
	err = db.Update(func(tx *store.Tx) error {
		for id, state := range map[string]store.DeviceState{"new": store.New, "quarantined": store.Quarantined, "settled": store.Quarantined, "ready": store.Ready, "lost": store.Lost} {
			if err := tx.PutDevice(device(id, state)); err != nil {
				return err
			}
		}
		if err := tx.AddBootEvents([]store.BootEvent{{MAC: "52:54:00:00:00:01", Leg: "discover", File: evil, Text: evil, Err: evil, IP: evil}}); err != nil {
			return err
		}
		_, _, err := tx.AddVersion(store.Version{Image: "sales", Label: evil, Note: evil, Source: evil, OS: evil, State: store.Released})
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"device list", "device list -o wide", "device show ready", "device show quarantined", "device settle settled --as two", "device settle ready --as same", "device settle quarantined --as moved --with ready",
		"device set ready --owner x", "device set lost --owner x --reason y",
		"deploy new --image sales", "deploy quarantined --image sales", "deploy lost --image sales", "deploy ready --image sales", "deploy new lost --image sales",
		"image list -o wide", "image show sales", "boot log", "boot log 52:54:00:00:00:01", "audit", "device show " + strings.ReplaceAll(evil, "\n", "")} {
		code, text := tell(strings.Split(args, " ")...)
		if strings.ContainsAny(strings.ReplaceAll(text, "\n", ""), "\x1b\a\r\u009b") || text == "" {
			t.Errorf("ingot %q (exit code %d) prints %q", args, code, text)
		}
		if strings.Contains(text, "\nY") {
			t.Errorf("ingot %q breaks a line: %q", args, text)
		}
	}
}
