package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the costs of argon2id.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultParams are those that OWASP's password storage page gives first for
// argon2id: 19 MiB, 2 passes, 1 thread; some 20 ms of one core in 2026.
var DefaultParams = Params{Memory: 19 << 10, Time: 2, Threads: 1}

const (
	saltLen = 16
	keyLen  = 32
	// Bounds of what a stored hash may ask for, so that a row from a foreign
	// backup cannot ask for all memory.
	maxMemory  = 256 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
	maxPHC     = 512 // bytes
)

var errPHC = errors.New("not an argon2id hash that kuva takes")

// phc is a parsed hash: $argon2id$v=19$m=19456,t=2,p=1$salt$key
type phc struct {
	Params
	salt, key []byte
}

func (h phc) String() string {
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads, enc(h.salt), enc(h.key))
}

// parsePHC reads a hash and refuses costs outside the bounds. Its error never
// repeats the input.
func parsePHC(s string) (phc, error) {
	if len(s) > maxPHC {
		return phc{}, errPHC
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	cost := strings.Split(part[3], ",")
	if len(cost) != 3 {
		return phc{}, errPHC
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(cost[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || v == 0 || strconv.FormatUint(v, 10) != digits {
			return phc{}, errPHC
		}
		n[i] = v
	}
	if n[0] < 8*n[2] || n[0] > maxMemory || n[1] > maxTime || n[2] > maxThreads {
		return phc{}, errPHC
	}
	strict := base64.RawStdEncoding.Strict()
	salt, err1 := strict.DecodeString(part[4])
	key, err2 := strict.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return phc{}, errPHC
	}
	h := phc{Params: Params{Memory: uint32(n[0]), Time: uint32(n[1]), Threads: uint8(n[2])}, salt: salt, key: key}
	if h.String() != s { // line breaks that base64 skips
		return phc{}, errPHC
	}
	return h, nil
}
