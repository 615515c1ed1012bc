package access

import (
	"strings"
	"testing"
	"time"
)

// TestAHashIsOfItsPassword: made here, by the reference program, and by nobody.
func TestAHashIsOfItsPassword(t *testing.T) {
	made := hashPassword("correct horse")
	if again := hashPassword("correct horse"); again == made {
		t.Error("two hashes of one password are equal: no salt")
	}
	for _, c := range []struct {
		name, phc, password string
		ok, old             bool
	}{
		{"made here", made, "correct horse", true, false},
		{"another password", made, "correct horsf", false, false},
		{"no password", made, "", false, false},
		// Debian's argon2 0~20171227: echo -n password | argon2 somesalt -id -t 2 -m 15 -p 2 -l 32 -e
		{"of the reference program", "$argon2id$v=19$m=32768,t=2,p=2$c29tZXNhbHQ$q7mvSZTfYj9NX+1gwr6Z7xi4dKApvXxai2sPGGy8ZN0", "password", true, true},
		{"none", "", "x", false, false},
		{"another kind", "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG8cL3A2DXOyM", "password", false, false},
		{"a bill of 4 TB", strings.Replace(made, "m=32768", "m=4294967295", 1), "correct horse", false, false},
		{"a bill of a year", strings.Replace(made, "t=3", "t=99999999", 1), "correct horse", false, false},
		{"no lanes", strings.Replace(made, "p=1", "p=0", 1), "correct horse", false, false},
		{"a short key", made[:len(made)-8], "correct horse", false, false},
		{"something behind it", made + "$x", "correct horse", false, false},
		{"no salt", "$argon2id$v=19$m=32768,t=3,p=1$$" + strings.Repeat("A", 43), "x", false, false},
		{"the hash of nobody", nobody, "", false, false},
	} {
		start := time.Now()
		ok, old := opens(c.phc, c.password)
		if ok != c.ok || ok && old != c.old {
			t.Errorf("%s: opens %v, old %v; want %v, %v", c.name, ok, old, c.ok, c.old)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %s", c.name, d)
		}
	}
}

// FuzzHash holds that whatever a record says, it is a hash within bounds or none.
func FuzzHash(f *testing.F) {
	f.Add(nobody)
	f.Add("$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, phc string) {
		c, salt, key, err := parseHash(phc)
		if err == nil && (c.memory > maxMemory || c.passes > maxPasses || c.lanes > maxLanes || len(key) != keyLen || len(salt) > 64) {
			t.Errorf("parseHash(%q) = %+v", phc, c)
		}
	})
}
