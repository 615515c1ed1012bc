package smbios

import (
	"net"
	"strings"
)

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
	"to be filled by oem", "to be filled", "tobefilledbyo.e.m.", "none specified", "unspecified", "undefined", "serial", "system serial#",
	"chassis serial number 01234567890", "01234567890", "012345678", "12345678", "123456",
	"asset tag", "no asset tag", "no asset information", "asset-1234567890", "asset tag number", "fixed asset tag", "-", ".")

var junkProducts = set("system product name", "product name", "system name", "all series", "default string", "default", "o.e.m.", "oem",
	"to be filled by o.e.m.", "to be filled by o.e.m", "to be filled by oem", "not specified", "not applicable", "not available", "none",
	"n/a", "na", "unknown", "undefined", "invalid", "empty", "null")

var junkMakers = set("system manufacturer", "oem", "o.e.m.", "default string", "default", "to be filled by o.e.m.", "to be filled by o.e.m",
	"to be filled by oem", "not specified", "not applicable", "not available", "none", "n/a", "na", "unknown", "undefined", "invalid",
	"empty", "null", "manufacturer")

// junkMACs begin addresses that many adapters carry: host sides of virtual networks, and chips whose memory nobody
// filled in.
var junkMACs = []string{"00:00:00", "00:50:56:c0:", "44:45:53:54:", "00:53:45:00:", "02:00:4e:43:50:49", "88:88:88:88:87:88", "00:e0:4c:68:00:"}

func set(values ...string) map[string]bool {
	m := make(map[string]bool, len(values))
	for _, v := range values {
		m[v] = true
	}
	return m
}

// folded is text without case, and with single blanks between its words.
func folded(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

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

// OwnMAC gives an adapter's address in lower case with colons, and whether it can tell one adapter from all others:
// not multicast, not administered locally (randomised or virtual), and none that many adapters carry.
func OwnMAC(s string) (string, bool) {
	hw, err := net.ParseMAC(strings.TrimSpace(s))
	if err != nil || len(hw) != 6 {
		return "", false
	}
	mac := hw.String()
	for _, j := range junkMACs {
		if strings.HasPrefix(mac, j) {
			return mac, false
		}
	}
	blank := mac[9:] == "00:00:00" || mac[9:] == "ff:ff:ff"
	return mac, hw[0]&3 == 0 && !blank && strings.Count(mac, mac[:2]) < 6
}

// makerTail are words that end a manufacturer's name on one paper and not on another.
var makerTail = set("inc", "incorporated", "corp", "corporation", "co", "company", "ltd", "limited", "llc", "gmbh", "ag", "sa", "bv",
	"computer", "computers", "electronics", "technology", "technologies", "group", "international")

// makerAlias gives makers with two names one.
var makerAlias = map[string]string{"hewlett packard": "hp", "asustek": "asus", "micro star": "msi",
	"fujitsu siemens": "fujitsu", "fujitsu client computing": "fujitsu"}

// Maker is a manufacturer under the one name by which firmware and a supplier's list both mean it: "Dell Inc." and
// "Dell" are "dell", "Hewlett-Packard" is "hp". It is empty when the name says nothing.
func Maker(s string) string {
	if JunkManufacturer(s) {
		return ""
	}
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" \t.,-_()®", r) })
	for len(words) > 1 && makerTail[words[len(words)-1]] {
		words = words[:len(words)-1]
	}
	name := strings.Join(words, " ")
	if a, ok := makerAlias[name]; ok {
		return a
	}
	return name
}
