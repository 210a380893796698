package disk

import "context"

// Allocated sums the bytes of a disk that are stored: those of its Data
// extents. Against the length of the file it tells how far the file expands.
func Allocated(ctx context.Context, d Disk) (int64, error) {
	var sum int64
	for e, err := range d.Extents(ctx, 0, d.Size()) {
		if err != nil {
			return 0, err
		}
		if e.Kind == Data {
			sum += e.Len
		}
	}
	return sum, nil
}
