package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"ingot/imaging/job"
)

// cost is what one password costs: RFC 9106 with less memory than its second choice and the same number of passes, so
// that a server with 200 MB for everything can afford it.
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

var present = cost{memory: 32 << 10, passes: 3, lanes: 1}

// The bounds of what a stored hash may ask for: a record from elsewhere must not take the server's memory.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 10
	maxLanes  = 8
	saltLen   = 16
	keyLen    = 32
)

// MinPassword and MaxPassword bound a password, in characters and in bytes.
const (
	MinPassword = 12
	MaxPassword = 512
)

// errHash says that a stored hash is none.
var errHash = errors.New("access: not an argon2id hash")

// hashPassword makes the PHC string of a password.
func hashPassword(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	return present.format(salt, present.key(password, salt))
}

func (c cost) key(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.lanes, keyLen)
}

func (c cost) format(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.lanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parseHash takes a PHC string apart.
func parseHash(phc string) (c cost, salt, key []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.lanes); n != 3 || err != nil {
		return c, nil, nil, errHash
	}
	if c.memory < 8 || c.memory > maxMemory || c.passes < 1 || c.passes > maxPasses || c.lanes < 1 || c.lanes > maxLanes {
		return c, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) != keyLen {
		return c, nil, nil, errHash
	}
	return c, salt, key, nil
}

// nobody is the hash of a password that nobody has: names that are not known cost the same as those that are.
var nobody = present.format(make([]byte, saltLen), make([]byte, keyLen))

// opens reports whether a password belongs to a hash, and whether that should be made anew at today's cost. It takes
// the same time whatever it finds; a hash that is none opens for nobody.
func opens(phc, password string) (ok, old bool) {
	c, salt, key, err := parseHash(phc)
	known := err == nil
	if !known {
		c, salt, key, _ = parseHash(nobody)
	}
	same := subtle.ConstantTimeCompare(c.key(password, salt), key) == 1
	return same && known, c != present
}

// CheckPassword says why a password will not do for an operator of this name.
func CheckPassword(name, password string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < MinPassword:
		return job.Faultf(job.CodePassword, "It has %d characters.", n)
	case len(password) > MaxPassword || !utf8.ValidString(password):
		return job.Faultf(job.CodePassword, "It is longer than %d bytes, or no text.", MaxPassword)
	case variety(password) < 5:
		return job.Faultf(job.CodePassword, "It consists of few different characters.")
	}
	plain := strings.ToLower(password)
	if short, _, _ := strings.Cut(name, "@"); len(short) >= 3 && strings.Contains(plain, strings.ToLower(short)) {
		return job.Faultf(job.CodePassword, "It holds the name.")
	}
	for _, c := range guessed {
		plain = strings.ReplaceAll(plain, c, "")
	}
	if utf8.RuneCountInString(plain) < MinPassword/2 {
		return job.Faultf(job.CodePassword, "It consists of what is tried first.")
	}
	return nil
}

// guessed is what passwords are made of that are tried first. What is left without these must still be something.
var guessed = []string{"password", "passwort", "kennwort", "administrator", "admin", "welcome", "willkommen", "letmein", "qwertzuiop", "qwertyuiop", "qwertz", "qwerty",
	"asdfgh", "yxcvbn", "zxcvbn", "changeme", "secret", "geheim", "helpdesk", "ingot", "abcdef", "1234567890", "12345678", "123456", "12345", "1234", "123", "0000", "1111", "2024", "2025", "2026", "2027"}

// variety counts the different characters.
func variety(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}
