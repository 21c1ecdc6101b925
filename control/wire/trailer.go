package wire

import (
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

const (
	// HeaderNode is the header that names the node whose output an answer is.
	HeaderNode = "Drover-Node"
	// TrailerError is the trailer of a stream that did not come to its end. Without it the end of
	// the stream is the end of the output.
	TrailerError = "Drover-Error"
)

// LogPatience is how long a node may take to take up a request for the output of an application.
const LogPatience = 10 * time.Second

// EncodeTrailer writes an error as the value of TrailerError: an ErrorBody in JSON, with all that
// has no place in a header escaped as in a URL.
func EncodeTrailer(err error) string {
	_, body := EncodeError(err)
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // a struct of strings can be encoded
	}
	return url.PathEscape(string(text))
}

// DecodeTrailer returns the error that EncodeTrailer wrote, nil if there is none.
func DecodeTrailer(value string) error {
	if value == "" {
		return nil
	}
	text, err := url.PathUnescape(value)
	var body ErrorBody
	if err != nil || json.Unmarshal([]byte(text), &body) != nil || body.Description == "" {
		return errors.New("the stream broke off, and does not say why")
	}
	return DecodeError(0, body)
}
