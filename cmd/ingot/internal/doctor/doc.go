// Package doctor says what keeps a server from imaging laptops, and what to do about it.
//
// The idea: looking and judging are apart. Whoever looks fills Facts, as far as he may; Judge holds them against the
// table of checks and gives a Finding for each, which is ok, a warning or a failure. A fact that could not be looked
// at is a warning that says so, never an ok.
//
//	facts -> Judge -> ok    disk      61.2 GB of 250.1 GB are free
//	                  warn  bundle    The boot bundle is 120 days old.      do: sudo ingot firmware build
//	                  fail  ports     dnsmasq (pid 812) has UDP 67.         do: ...
package doctor
