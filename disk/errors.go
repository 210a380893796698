package disk

import "fmt"

// Reason is why a well-formed file is refused: a short word that programs may
// compare and that stays the same.
type Reason string

const (
	// ReasonBacking: the file names a backing file or parent whose contents
	// belong to the disk.
	ReasonBacking Reason = "backing-file"
	// ReasonDataFile: the data lie in another file (qcow2's external data
	// file, VMDK's flat or split extents).
	ReasonDataFile Reason = "data-file"
	// ReasonEncrypted: the content is encrypted.
	ReasonEncrypted Reason = "encrypted"
	// ReasonFeature: the file needs a version or feature that is not known.
	ReasonFeature Reason = "feature"
	// ReasonTooLarge: the disk is larger than the format or the limits allow.
	ReasonTooLarge Reason = "too-large"
	// ReasonLimit: reading the file takes more memory, bytes or steps than
	// the budget allows.
	ReasonLimit Reason = "limit"
	// ReasonUnsupported: the format is recognised but not read.
	ReasonUnsupported Reason = "unsupported-format"
	// ReasonAmbiguous: the file is of several formats at once.
	ReasonAmbiguous Reason = "ambiguous"
	// ReasonChoice: the file holds several disks and nothing says which.
	ReasonChoice Reason = "choice"
	// ReasonNested: there are more layers than one compression over one archive
	// over one disk.
	ReasonNested Reason = "nested"
	// ReasonNoDisk: the archive holds no disk.
	ReasonNoDisk Reason = "no-disk"
	// ReasonSetting: a setting that the caller gave is unknown or out of range.
	ReasonSetting Reason = "setting"
)

// Refused is the error for files that could be understood but must not, or
// cannot, be used. Ask with errors.As.
type Refused struct {
	Format string // name of the format, "" where none is concerned
	Reason Reason
	Detail string // what was found, in words; texts from the file are quoted and cut
}

// Error implements error.
func (e *Refused) Error() string {
	return prefix(e.Format) + "refused (" + string(e.Reason) + "): " + e.Detail
}

// Refuse makes a *Refused with a formatted detail.
func Refuse(format string, reason Reason, detail string, args ...any) error {
	return &Refused{Format: format, Reason: reason, Detail: fmt.Sprintf(detail, args...)}
}

// Malformed is the error for files that break the rules of their format:
// damaged, cut off or hostile. Ask with errors.As.
type Malformed struct {
	Format string
	Detail string
	Err    error // the cause, if there is one
}

// Error implements error.
func (e *Malformed) Error() string {
	s := prefix(e.Format) + "malformed: " + e.Detail
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Malformed) Unwrap() error { return e.Err }

// Malform makes a *Malformed with a formatted detail.
func Malform(format, detail string, args ...any) error {
	return &Malformed{Format: format, Detail: fmt.Sprintf(detail, args...)}
}

// Quote makes a text from a file fit for a message: quoted, and cut after 64
// bytes.
func Quote(text []byte) string {
	if len(text) > 64 {
		return fmt.Sprintf("%q…", text[:64])
	}
	return fmt.Sprintf("%q", text)
}

func prefix(format string) string {
	if format == "" {
		return ""
	}
	return format + ": "
}
