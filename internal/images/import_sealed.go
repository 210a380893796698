package images

import (
	"bufio"
	"io"
)

// readable refuses content from elsewhere that is encrypted as a whole: it
// would become an image that starts nowhere. What it returns reads from the
// first byte on; content itself after an error.
func readable(content io.ReadCloser) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(content, EncryptedHead)
	head, err := b.Peek(EncryptedHead)
	if err != nil && err != io.EOF {
		return content, err
	}
	if err := RefuseEncrypted(head); err != nil {
		return content, err
	}
	return struct {
		io.Reader
		io.Closer
	}{b, content}, nil
}
