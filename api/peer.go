package api

// Peers are the other regions that the caller's project may send images to.
type Peers struct {
	Peers []Peer `json:"peers"`
}

// Peer is another region.
type Peer struct {
	Name string `json:"name"`
}

// Replicate asks for an image to be sent to another region.
type Replicate struct {
	Peer string `json:"peer"`
}
