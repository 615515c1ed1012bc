package smbios

import "strings"

// junkUUIDs are shared by many machines. Those of sixteen equal bytes are found by rule.
var junkUUIDs = []string{
	"03000200-0400-0500-0006-000700080009",
	"6ab5b300-538d-1014-9fb5-b0684d007b53",
	"00010203-0405-0607-0809-0a0b0c0d0e0f",
	"12345678-1234-5678-90ab-cddeefaabbcc",
}

// junkUUIDTails end the near variants of the first junk UUID.
var junkUUIDTails = []string{"0700080009"}

// junkSerials is compared without case and without blanks at the ends; whole values only.
var junkSerials = set(
	"n/a", "na", "none", "null", "empty", "invalid", "not specified", "not applicable", "not available", "not set",
	"to be filled by o.e.m.", "to be filled by o.e.m", "default string", "default", "system serial number", "chassis serial number",
	"base board serial number", "board serial number", "serial number", "oem_serial", "systemserialnumb", "unknow", "unknown", "o.e.m.", "oem",
	"0123456789", "123456789", "1234567890", "sn-12345", "sys-1234567890", "mb-1234567890", "nnnnnnn", "xxxxxxxxxxx", "eval",
	"asset tag", "no asset tag", "no asset information", "asset-1234567890", "asset tag number", "fixed asset tag", "-", ".")

var junkProducts = set("system product name", "product name", "system name", "all series", "default string", "o.e.m.", "oem",
	"to be filled by o.e.m.", "to be filled by o.e.m", "not specified", "not applicable", "none", "n/a", "unknown", "invalid", "empty")

var junkMakers = set("system manufacturer", "oem", "o.e.m.", "default string", "to be filled by o.e.m.", "to be filled by o.e.m",
	"not specified", "not applicable", "none", "n/a", "unknown", "invalid", "empty", "manufacturer")

func set(values ...string) map[string]bool {
	m := make(map[string]bool, len(values))
	for _, v := range values {
		m[v] = true
	}
	return m
}

func folded(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// JunkSerial reports whether a serial or an asset tag says nothing: empty, a placeholder of the maker, or one
// character repeated. A real serial that merely contains such a word is kept.
func JunkSerial(s string) bool {
	f := folded(s)
	return f == "" || junkSerials[f] || strings.Count(f, f[:1]) == len(f)
}

// JunkProduct reports whether a product name says nothing.
func JunkProduct(s string) bool { f := folded(s); return f == "" || junkProducts[f] }

// JunkManufacturer reports whether a manufacturer says nothing.
func JunkManufacturer(s string) bool { f := folded(s); return f == "" || junkMakers[f] }
