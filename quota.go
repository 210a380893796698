package kuva

// Quota is what one project may keep. A limit below 0 means unlimited.
type Quota struct {
	Images      int64 // number of image records
	Bytes       int64 // sum of the sizes as shown, uploads under way included
	ImageSize   int64 // bytes of one image as shown
	VirtualSize int64 // bytes of one disk as its guest would see it
	Members     int64 // image members of one image
	Tags        int64 // tags of one image
	Properties  int64 // extra properties of one image
	Uploads     int64 // uploads under way at one time
}

// DefaultQuota is in force for every project that the operator gave no other.
var DefaultQuota = Quota{
	Images:      1000,
	Bytes:       10 << 40,
	ImageSize:   1 << 40,
	VirtualSize: 4 << 40,
	Members:     128,
	Tags:        128,
	Properties:  128,
	Uploads:     64,
}
